// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/exit_reason.hpp>
#include <coppice/supervision/spec.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <string>
#include <vector>

/// What OTP's supervisors do, written down a second time and as plainly as possible: functions that
/// call each other over a tree of structs, where everything takes its turn. Made from the
/// description of OTP, not from our implementation, and it shares no code with that; only the words
/// of spec.hpp. What Coppice does otherwise on purpose is marked with "Ours:".
namespace reference {

using std::chrono::milliseconds;
using reason = coppice::exit_reason::kind;

enum class role : std::uint8_t { worker, supervisor, dynamic };
enum class outcome : std::uint8_t { success, failure, decline };

struct rules {
  bool otp = false;
  coppice::strategy strategy = coppice::one_for_one;
  unsigned restarts = 3;
  milliseconds period{5'000};
  coppice::auto_shutdown auto_shutdown = coppice::auto_shutdown::never;
};

struct child {
  std::string id;
  role what = role::worker;
  coppice::restart restart = coppice::permanent;
  bool significant = false;
  coppice::shutdown shutdown = std::chrono::seconds{5};
  bool throws_at_stop = false;
  milliseconds start_takes{0};
  milliseconds stop_takes{0};
  rules own{};  ///< of a supervisor
  std::vector<child> children{};  ///< of a supervisor; of a dynamic one: the template
};
/// One line, for instance `/shop/a: transient worker, significant`.
std::string text(const child& c, const std::string& parent);

/// What happened, in which order: one after the other or side by side.
struct trace {
  std::string line{};
  bool side_by_side = false;
  std::vector<trace> parts{};
};
std::string text(const trace& t);
/// Empty, or why these lines cannot have been written by what the trace tells.
std::string mismatch(const trace& expected, const std::vector<std::string>& lines);

enum class state : std::uint8_t { stopped, running, ended, restarting };

struct message {
  enum class kind : std::uint8_t {
    ended,  ///< from a child
    retry,  ///< from the supervisor itself
    start_child,
    start_dynamic,
    terminate_child,
    restart_child,
    delete_child,
    which_child,
    get_childspec,
    count_children,
  };
  kind what;
  std::string id{};
  std::uint32_t incarnation = 0;  ///< of `ended` and `retry`
  reason why = reason::normal;  ///< of `ended`
  child spec{};  ///< of `start_child`
  int number = -1;  ///< of a call: where its answer goes
};

/// A child as its supervisor sees it, and if it is a supervisor, what it sees. While a supervisor
/// does not run its children are those that will keep their addresses.
struct member {
  child spec;
  std::string path;
  bool added = false;  ///< by a call
  state is = state::stopped;
  std::uint32_t incarnation = 0;
  std::uint32_t restarts = 0;

  std::list<member> children{};
  std::vector<std::int64_t> restart_times{};
  std::uint32_t numbered = 0;
  std::deque<message> mailbox{};
  bool over = false;  ///< it has stopped its children and is about to end
  reason why = reason::normal;
};

class tree {
 public:
  explicit tree(const child& root);

  // ---- scripts and steps ----------------------------------------------------------------------
  /// How the next starts of what is at a path turn out; those after them are successes.
  std::map<std::string, std::deque<outcome>> scripts;
  milliseconds now{0};

  void open();
  /// A worker ends by itself: it throws, or stops with a reason.
  void exit(const std::string& path, reason why);
  /// A worker or supervisor is killed from outside.
  void kill(const std::string& path);
  /// Asks the supervisor at `path`.
  std::string call(const std::string& path, message m);
  void stop();

  /// The same with the supervisor at the top, in steps: what a worker's kill and a call put into
  /// its mailbox, and when; and then all that follows.
  void post_kill(const std::string& path);
  void post_call(milliseconds at, message m);
  void settle();

  // ---- what can be seen -----------------------------------------------------------------------
  member root;
  bool ended() const { return root.is != state::running; }
  std::map<int, std::string> answers;
  trace take_trace();
  /// What each supervisor has reported since the last call.
  std::map<std::string, std::vector<std::string>> take_reports();
  /// A line a child, of all supervisors that run.
  std::string states() const;
  std::uint32_t workers_alive() const;

  member* find(const std::string& path);
  std::vector<member*> all();  ///< that have a parent that runs, the root first

 private:
  void say(const std::string& line);
  template <class F>
  void side_by_side(std::list<member>& all, F each);
  void report(const member& supervisor, const char* about, const member& of, reason why);

  outcome start(member& m);
  outcome start_supervisor(member& m);
  void stop(member& supervisor, member& m);
  void stop_children(member& supervisor);
  void kill(member& m);
  void is_down(member& supervisor);

  void drain(const std::string& path);
  void arrive();
  void handle(member& s, const message& m);
  void judge(member& s, member& m, reason why);
  void restart(member& s, member& m);
  void restart_group(member& s, member& m);
  bool start_again(member& s, member& m);
  bool too_many(member& s);
  void shut_down(member& s, reason why);
  void check_significant(member& s, const member& m);

  std::string answer(member& s, const message& m);
  std::string start_child(member& s, const message& m);
  std::string start_dynamic(member& s);
  std::string terminate_child(member& s, const message& m);
  std::string restart_child(member& s, const message& m);
  std::string delete_child(member& s, const message& m);

  trace trace_;
  std::map<std::string, std::vector<std::string>> reports_;
  std::deque<std::pair<milliseconds, message>> arrivals_;
};

/// How a state, a child and a number of children are written, for those who compare.
std::string_view name(state s);
std::string row(const std::string& path, std::string_view state, std::uint32_t incarnation,
                std::uint32_t restarts, bool supervisor);
std::string counts(std::uint32_t specs, std::uint32_t active, std::uint32_t supervisors,
                   std::uint32_t workers);
std::string spec_text(const std::string& id, coppice::restart restart, bool significant,
                      coppice::shutdown shutdown, bool supervisor);

}  // namespace reference
