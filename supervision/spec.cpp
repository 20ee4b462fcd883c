// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/supervision/spec.hpp>

#include <algorithm>

namespace coppice {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t longest_id = 64;
constexpr std::uint32_t largest_capacity = 60'000;
constexpr unsigned most_restarts = 1'000'000;
constexpr milliseconds longest = std::chrono::hours{24};

error invalid(std::string what) { return error{errc::invalid, std::move(what)}; }

bool control_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

bool within(milliseconds value, milliseconds least) { return value >= least && value <= longest; }

std::string range(std::string what, milliseconds value, milliseconds least) {
  return std::move(what) + " is " + std::to_string(value.count()) + " ms: choose " +
         std::to_string(least.count()) + " ms to " + std::to_string(longest.count()) + " ms (24 h)";
}

result<void> validate(const intensity& limit, const std::string& whose, window rule) {
  if (limit.restarts > most_restarts)
    return invalid(whose + " allows " + std::to_string(limit.restarts) +
                   " restarts: choose at most " + std::to_string(most_restarts));
  if (!within(limit.period, milliseconds{1}))
    return invalid(range("the period of " + whose, limit.period, milliseconds{1}));
  if (rule == window::otp_seconds && limit.period % std::chrono::seconds{1} != milliseconds{0})
    return invalid("the period of " + whose + " is " + std::to_string(limit.period.count()) +
                   " ms: under OTP's rule choose whole seconds");
  return {};
}

}  // namespace

std::string_view name(restart kind) noexcept {
  switch (kind) {
    case restart::permanent: return "permanent";
    case restart::transient: return "transient";
    case restart::temporary: return "temporary";
  }
  return "unknown";
}

std::string_view name(strategy how) noexcept {
  switch (how) {
    case strategy::one_for_one: return "one_for_one";
    case strategy::one_for_all: return "one_for_all";
    case strategy::rest_for_one: return "rest_for_one";
    case strategy::simple_one_for_one: return "simple_one_for_one";
  }
  return "unknown";
}

std::string_view name(child_kind kind) noexcept {
  return kind == child_kind::supervisor ? "supervisor" : "worker";
}

std::string to_string(const shutdown& how) {
  switch (how.what()) {
    case shutdown::kind::brutal: return "brutal_kill";
    case shutdown::kind::endless: return "infinity";
    case shutdown::kind::within: break;
  }
  return std::to_string(how.deadline().count()) + " ms";
}

result<void> validate(const child_spec& spec) {
  if (spec.id.empty()) return invalid("a child has no id: give it one, as in {.id = \"checkout\"}");
  if (spec.id.size() > longest_id)
    return invalid("the child id that begins with \"" + spec.id.substr(0, 16) + "\" has " +
                   std::to_string(spec.id.size()) + " bytes: use at most " +
                   std::to_string(longest_id));
  const auto bad = std::find_if(spec.id.begin(), spec.id.end(), control_character);
  if (bad != spec.id.end())
    return invalid("a child id has a control character at byte " +
                   std::to_string(bad - spec.id.begin() + 1) + ": use printable text");
  const std::string child = "child \"" + spec.id + "\": ";
  if (spec.id.find('/') != std::string::npos)
    return invalid(child + "an id may not contain '/', which separates the ids in a path");
  if (spec.capacity < 1 || spec.capacity > largest_capacity)
    return invalid(child + "the capacity is " + std::to_string(spec.capacity) + ": choose 1 to " +
                   std::to_string(largest_capacity));
  if (!within(spec.start_deadline, milliseconds{1}))
    return invalid(range(child + "the start deadline", spec.start_deadline, milliseconds{1}));
  if (spec.shutdown.what() == shutdown::kind::within &&
      !within(spec.shutdown.deadline(), milliseconds{0}))
    return invalid(
        range(child + "the shutdown deadline", spec.shutdown.deadline(), milliseconds{0}) +
        ", coppice::infinity or coppice::brutal_kill");
  return {};
}

result<void> validate(const child_spec& spec, const supervisor_spec& of) {
  if (!spec.significant) return {};
  const std::string child = "child \"" + spec.id + "\": ";
  if (of.auto_shutdown == auto_shutdown::never)
    return invalid(child +
                   "it is significant, but its supervisor's auto_shutdown is never: set that to "
                   "any_significant or all_significant");
  if (spec.restart == restart::permanent)
    return invalid(child +
                   "a permanent child cannot be significant, for it never ends for good: make it "
                   "transient or temporary");
  return {};
}

result<void> validate(const dynamic_spec& spec) {
  constexpr std::uint32_t most_children = 10'000'000;
  if (auto own = validate(spec.own); !own) return own;
  child_spec child = spec.child;
  child.id = "of " + spec.own.id;
  if (child.id.size() > longest_id) child.id.resize(longest_id);
  if (auto like = validate(child); !like) return like;
  if (auto of = validate(spec.supervisor); !of) return of;
  if (spec.supervisor.auto_shutdown != auto_shutdown::never)
    return invalid("child \"" + spec.own.id +
                   "\": a dynamic supervisor's auto_shutdown is never: its children come and go");
  if (spec.child.significant)
    return invalid("child \"" + spec.own.id +
                   "\": a dynamic supervisor's children cannot be significant: they come and go");
  if (spec.most < 1 || spec.most > most_children)
    return invalid("child \"" + spec.own.id + "\": at most " + std::to_string(spec.most) +
                   " children: choose 1 to " + std::to_string(most_children));
  return {};
}

result<void> validate(const supervisor_spec& spec) {
  if (auto shared = validate(spec.intensity, "the supervisor's intensity", spec.window); !shared)
    return shared;
  if (spec.per_child)
    if (auto own = validate(*spec.per_child, "the children's intensity", spec.window); !own)
      return own;
  if (!within(spec.stuck_limit, milliseconds{1}))
    return invalid(range("the stuck limit", spec.stuck_limit, milliseconds{1}));
  return {};
}

}  // namespace coppice
