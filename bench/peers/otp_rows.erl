%% SPDX-License-Identifier: BSD-3-Clause

%% The rows on Erlang/OTP: plain processes where the row is about messages, gen_server and
%% supervisor where it is about calls and supervision.
%% Usage: erl -noshell -s otp_rows main -extra ROW
-module(otp_rows).
-behaviour(supervisor).

-export([main/0, report/3]).
-export([init/1, start_worker/1, start_worker/2, start_dynamic/0]).
-export([handle_call/3, handle_cast/2]).

rows() ->
    [{"ping_pong", fun ping_pong/0},
     {"ask", fun ask/0},
     {"fan_in_4", fun fan_in_4/0},
     {"ring", fun ring/0},
     {"bytes", fun bytes/0},
     {"restart_1", fun restart_1/0},
     {"start", fun start/0},
     {"stop", fun stop/0},
     {"restart_1000", fun restart_1000/0},
     {"one_for_all", fun one_for_all/0} | otp_remote_rows:rows()].

main() ->
    %% Crash reports would be measured instead of restarts.
    logger:set_primary_config(level, none),
    erlang:halt(main(init:get_plain_arguments())).

main(["--list"]) ->
    [io:format("~s~n", [Name]) || {Name, _} <- rows()],
    0;
main(["--version"]) ->
    io:format("Erlang/OTP ~s (erts ~s)~n",
              [erlang:system_info(otp_release), erlang:system_info(version)]),
    0;
main([Name]) ->
    case lists:keyfind(Name, 1, rows()) of
        {_, Run} ->
            {_, Monitor} = spawn_monitor(Run),
            receive
                {'DOWN', Monitor, _, _, normal} -> 0;
                {'DOWN', Monitor, _, _, Why} ->
                    io:format(standard_error, "~s failed: ~p~n", [Name, Why]),
                    1
            end;
        false -> usage()
    end;
main(_) -> usage().

usage() ->
    io:format(standard_error, "usage: otp_rows ROW | --list | --version~n", []),
    2.

report(Name, Value, Unit) -> io:format("~s ~.2f ~s~n", [Name, float(Value), Unit]).

now_us() -> erlang:monotonic_time(microsecond).

us_per_one(Count, Since) -> (now_us() - Since) / Count.

per_second(Count, Since) -> Count * 1.0e6 / (now_us() - Since).

%% One field of /proc/self/status that is given in kB.
status_bytes(Field) ->
    {ok, Status} = file:read_file("/proc/self/status"),
    [KiB] = [Value || Line <- string:lexemes(Status, "\n"),
                      [Name, Value | _] <- [string:lexemes(Line, " \t")],
                      Name =:= list_to_binary(Field)],
    binary_to_integer(KiB) * 1024.

%% ---- ping_pong, ring

ping_pong() -> report("ping_pong", hops_per_second(2, 2 * 1000000), "msgs/s").

ring() -> report("ring", hops_per_second(100, 1000000), "hops/s").

hops_per_second(Actors, Hops) ->
    Me = self(),
    Hoppers = [First | Rest] = [spawn_link(fun() -> hopper(none, Me) end)
                                || _ <- lists:seq(1, Actors)],
    lists:zipwith(fun(Pid, Next) -> Pid ! {next, Next} end, Hoppers, Rest ++ [First]),
    %% One round outside the measurement: every process knows its neighbour afterwards.
    First ! Actors,
    receive done -> ok end,
    Start = now_us(),
    First ! Hops,
    receive done -> ok end,
    per_second(Hops, Start).

hopper(Next, Owner) ->
    receive
        {next, Pid} -> hopper(Pid, Owner);
        0 -> Owner ! done, hopper(Next, Owner);
        Left -> Next ! Left - 1, hopper(Next, Owner)
    end.

%% ---- ask

ask() ->
    {ok, Echo} = gen_server:start_link(?MODULE, echo, []),
    Count = 1000000,
    Start = now_us(),
    ask(Echo, Count),
    report("ask", per_second(Count, Start), "asks/s").

ask(_, 0) -> ok;
ask(Echo, Left) -> Left = gen_server:call(Echo, Left), ask(Echo, Left - 1).

%% ---- fan_in_4

fan_in_4() ->
    Me = self(),
    Events = 5000000,
    %% The default queue on the heap is slower here.
    Counter = spawn_opt(fun() -> count(Events, Me) end, [link, {message_queue_data, off_heap}]),
    Senders = [spawn_link(fun() -> receive go -> produce(Counter, Events div 4) end end)
               || _ <- lists:seq(1, 4)],
    Before = status_bytes("VmRSS:"),
    Start = now_us(),
    [Sender ! go || Sender <- Senders],
    receive done -> ok end,
    report("fan_in_4", per_second(Events, Start), "events/s"),
    report("fan_in_4_rss", (status_bytes("VmHWM:") - Before) / 1048576, "MiB").

count(0, Owner) -> Owner ! done;
count(Left, Owner) -> receive _ -> count(Left - 1, Owner) end.

produce(_, 0) -> ok;
produce(To, Left) -> To ! Left, produce(To, Left - 1).

%% ---- bytes

bytes() ->
    Count = 100000,
    {ok, Supervisor} = supervisor:start_link(?MODULE, {children, [], none}),
    start_children(Supervisor, 1, 1000),
    Before = status_bytes("VmRSS:"),
    start_children(Supervisor, 1001, 1000 + Count),
    report("bytes", (status_bytes("VmRSS:") - Before) / Count, "bytes").

start_children(Supervisor, First, Last) ->
    lists:foreach(fun(Number) ->
                      {ok, _} = supervisor:start_child(Supervisor, child_spec(Number, none))
                  end,
                  lists:seq(First, Last)),
    %% What the starts left behind is not a child's cost.
    erlang:garbage_collect(Supervisor),
    erlang:garbage_collect().

%% A binary of 12 characters: a string would take 192 bytes.
child_id(Number) -> iolist_to_binary(io_lib:format("child-~6..0b", [Number])).

child_spec(Number, Tester) ->
    #{id => child_id(Number), start => {?MODULE, start_worker, [Tester]}, restart => permanent}.

%% ---- restart_1

%% A supervisor walks its history of restarts at each restart; fresh ones keep that short.
restart_1() ->
    Crashes = 100,
    Rates = [begin
                 {ok, Supervisor} = supervisor:start_link(?MODULE, {children, [0], self()}),
                 Start = now_us(),
                 crash_children(Crashes),
                 Rate = per_second(Crashes, Start),
                 gen_server:stop(Supervisor),
                 Rate
             end || _ <- lists:seq(1, 20)],
    report("restart_1", lists:nth(10, lists:sort(Rates)), "restarts/s").

crash_children(0) -> receive {ready, _} -> ok end;
crash_children(Left) ->
    receive {ready, Pid} -> gen_server:cast(Pid, crash) end,
    crash_children(Left - 1).

%% ---- start, stop

start() ->
    Count = 100000,
    {_, Dynamic} = start_dynamic_supervisor(),
    Start = now_us(),
    start_dynamic_children(Dynamic, Count),
    report("start", us_per_one(Count, Start), "us").

stop() ->
    Count = 100000,
    {Parent, Dynamic} = start_dynamic_supervisor(),
    start_dynamic_children(Dynamic, Count),
    Start = now_us(),
    ok = supervisor:terminate_child(Parent, dynamic),
    report("stop", us_per_one(Count, Start), "us").

start_dynamic_supervisor() ->
    {ok, Parent} = supervisor:start_link(?MODULE, parent_of_dynamic),
    [{dynamic, Dynamic, supervisor, _}] = supervisor:which_children(Parent),
    {Parent, Dynamic}.

start_dynamic_children(_, 0) -> ok;
start_dynamic_children(Dynamic, Left) ->
    {ok, _} = supervisor:start_child(Dynamic, [Left]),
    start_dynamic_children(Dynamic, Left - 1).

%% ---- restart_1000

%% Beside it what is left when the history grows.
restart_1000() ->
    Rates = [restarts_per_second(5) || _ <- lists:seq(1, 11)],
    report("restart_1000", lists:nth(6, lists:sort(Rates)), "restarts/s"),
    report("restart_1000_sustained", restarts_per_second(100), "restarts/s").

%% In a fresh supervisor.
restarts_per_second(CrashesEach) ->
    Count = 1000,
    {Supervisor, Children} = start_numbered_children(one_for_one, Count),
    Left = counters:new(Count, []),
    [counters:put(Left, Number, CrashesEach - 1) || Number <- lists:seq(1, Count)],
    Start = now_us(),
    [gen_server:cast(Pid, crash) || Pid <- Children],
    crash_numbered_children(Count * CrashesEach, Left),
    Rate = per_second(Count * CrashesEach, Start),
    gen_server:stop(Supervisor),
    Rate.

crash_numbered_children(0, _) -> ok;
crash_numbered_children(Expected, Left) ->
    receive
        {ready, Pid, Number} ->
            case counters:get(Left, Number) of
                0 -> ok;
                _ -> counters:sub(Left, Number, 1), gen_server:cast(Pid, crash)
            end
    end,
    crash_numbered_children(Expected - 1, Left).

%% The children in their order.
start_numbered_children(Strategy, Count) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, {numbered, Strategy, Count, self()}),
    {Supervisor, ready_children(Count)}.

ready_children(Count) ->
    [receive {ready, Pid, Number} -> Pid end || Number <- lists:seq(1, Count)].

%% ---- one_for_all

one_for_all() ->
    Count = 10000,
    {_, [First | _]} = start_numbered_children(one_for_all, Count),
    report("one_for_all", lists:nth(6, lists:sort(restart_all(11, First, Count))), "ms").

restart_all(0, _, _) -> [];
restart_all(Left, First, Count) ->
    Start = now_us(),
    gen_server:cast(First, crash),
    [Next | _] = ready_children(Count),
    Taken = (now_us() - Start) / 1000,
    [Taken | restart_all(Left - 1, Next, Count)].

%% ---- callbacks: supervisor, worker and echo

init({children, Numbers, Tester}) ->
    {ok, {#{strategy => one_for_one, intensity => 1000000000, period => 1},
          [child_spec(Number, Tester) || Number <- Numbers]}};
init({numbered, Strategy, Count, Tester}) ->
    {ok, {#{strategy => Strategy, intensity => 1000000000, period => 1},
          [#{id => child_id(Number), start => {?MODULE, start_worker, [Tester, Number]}}
           || Number <- lists:seq(1, Count)]}};
init(parent_of_dynamic) ->
    {ok, {#{},
          [#{id => dynamic, start => {?MODULE, start_dynamic, []}, type => supervisor}]}};
init(dynamic) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => child, start => {?MODULE, start_worker, [none]}, restart => permanent}]}};
init({worker, none}) -> {ok, none};
init({worker, Tester}) -> Tester ! {ready, self()}, {ok, none};
init({worker, none, Number}) -> {ok, Number};
init({worker, Tester, Number}) -> Tester ! {ready, self(), Number}, {ok, Number};
init(echo) -> {ok, none}.

start_worker(Tester) -> gen_server:start_link(?MODULE, {worker, Tester}, []).

start_worker(Tester, Number) -> gen_server:start_link(?MODULE, {worker, Tester, Number}, []).

start_dynamic() -> supervisor:start_link(?MODULE, dynamic).

handle_call(Number, _, State) -> {reply, Number, State}.

handle_cast(crash, _) -> exit(boom).
