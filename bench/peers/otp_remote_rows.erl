%% SPDX-License-Identifier: BSD-3-Clause

%% The rows between two nodes on Erlang/OTP: plain processes that talk over its distribution, on
%% loopback, with its defaults. The VM that runs the row only starts the nodes and kills one; both
%% are told where to listen, so that no port mapper is needed.
-module(otp_remote_rows).

-export([rows/0]).
-export([echo/0, count/1, round_trips/3, sent_per_second/3, nodedown/2]).

rows() ->
    [{"remote_rtt_p50", fun remote_rtt/0},
     {"remote_one_way_64", fun() -> one_way("remote_one_way_64", 64) end},
     {"remote_one_way_4k", fun() -> one_way("remote_one_way_4k", 4096) end},
     %% Ours is with TLS, this one is not.
     {"remote_one_way_4k_tls", fun() -> one_way("remote_one_way_4k_tls", 4096) end},
     {"kill_to_unreachable", fun kill_to_nodedown/0}].

%% ---- two nodes

start_node(Name, Host, Port) ->
    Interface = "{" ++ lists:flatten(string:replace(Host, ".", ",", all)) ++ "}",
    {ok, Peer, Node} =
        peer:start(#{name => Name, host => Host, longnames => true, connection => standard_io,
                     args => ["-setcookie", "bench", "-start_epmd", "false",
                              "-erl_epmd_port", integer_to_list(Port),
                              "-kernel", "inet_dist_use_interface", Interface,
                              "-pa", filename:dirname(code:which(?MODULE))]}),
    {Peer, Node}.

%% Nodes listen at the same port of two addresses of this machine.
near(Port) -> start_node(near, "127.0.0.1", Port).

far(Port) -> start_node(far, "127.0.0.2", Port).

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

%% What a function of this module says on the near node, given the far one.
on_two_nodes(Function, Arguments) ->
    Port = free_port(),
    {Near, _} = near(Port),
    {Far, FarNode} = far(Port),
    Result = peer:call(Near, ?MODULE, Function, [FarNode | Arguments], infinity),
    peer:stop(Far),
    peer:stop(Near),
    Result.

now_us() -> erlang:monotonic_time(microsecond).

%% ---- round trips

remote_rtt() ->
    Times = lists:sort(on_two_nodes(round_trips, [1000, 20000])),
    [otp_rows:report("remote_rtt_p" ++ integer_to_list(Percent),
                     lists:nth(20000 * Percent div 100 + 1, Times), "us")
     || Percent <- [50, 99]].

round_trips(Node, WarmUp, Count) ->
    Echo = spawn(Node, ?MODULE, echo, []),
    [round_trip(Echo) || _ <- lists:seq(1, WarmUp)],
    [round_trip(Echo) || _ <- lists:seq(1, Count)].

round_trip(Echo) ->
    Reference = make_ref(),
    Start = erlang:monotonic_time(nanosecond),
    Echo ! {self(), Reference},
    receive Reference -> (erlang:monotonic_time(nanosecond) - Start) / 1000 end.

echo() ->
    receive {From, Reference} -> From ! Reference end,
    echo().

%% ---- one way

one_way(Row, Bytes) ->
    otp_rows:report(Row, on_two_nodes(sent_per_second, [Bytes, 1500]), "msgs/s").

%% The first turn is outside the measurement.
sent_per_second(Node, Bytes, Milliseconds) ->
    Counter = spawn(Node, ?MODULE, count, [0]),
    Load = binary:copy(<<"x">>, Bytes),
    _ = send_for(Counter, Load, Milliseconds div 5),
    send_for(Counter, Load, Milliseconds).

send_for(Counter, Load, Milliseconds) ->
    Start = now_us(),
    Sent = send_until(Start + Milliseconds * 1000, Counter, Load, 0),
    Reference = make_ref(),
    Counter ! {count, self(), Reference},
    receive {Reference, Sent} -> Sent * 1.0e6 / (now_us() - Start) end.

send_until(End, Counter, Load, Sent) ->
    send_some(1000, Counter, Load),
    case now_us() < End of
        true -> send_until(End, Counter, Load, Sent + 1000);
        false -> Sent + 1000
    end.

send_some(0, _, _) -> ok;
send_some(Left, Counter, Load) -> Counter ! Load, send_some(Left - 1, Counter, Load).

count(Come) ->
    receive
        {count, From, Reference} -> From ! {Reference, Come}, count(0);
        _ -> count(Come + 1)
    end.

%% ---- a node that is killed

kill_to_nodedown() ->
    Port = free_port(),
    {Near, _} = near(Port),
    Times = [begin
                 {Far, FarNode} = far(Port),
                 Pid = peer:call(Far, os, getpid, []),
                 peer:call(Near, ?MODULE, nodedown, [FarNode, Pid], infinity)
             end || _ <- lists:seq(1, 11)],
    peer:stop(Near),
    otp_rows:report("kill_to_unreachable", lists:nth(6, lists:sort(Times)), "ms").

%% The shell reads the clock and kills by itself: nothing is started in between.
nodedown(Node, Pid) ->
    ok = net_kernel:monitor_nodes(true),
    true = net_kernel:connect_node(Node),
    receive {nodeup, Node} -> ok end,
    timer:sleep(50),
    Shell = open_port({spawn_executable, os:find_executable("bash")},
                      [{args, ["-c", "echo $EPOCHREALTIME; kill -9 " ++ Pid]},
                       {env, [{"LC_ALL", "C"}]}, {line, 100}]),
    receive {nodedown, Node} -> ok end,
    End = os:system_time(microsecond),
    receive {Shell, {data, {eol, Clock}}} -> ok end,
    ok = net_kernel:monitor_nodes(false),
    [Seconds, Micros] = string:lexemes(Clock, "."),
    (End - list_to_integer(Seconds) * 1000000 - list_to_integer(Micros)) / 1000.
