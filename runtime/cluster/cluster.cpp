// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/cluster/cluster.hpp>

#include <coppice/actors/outside.hpp>
#include <coppice/runtime/cluster/cluster_private.hpp>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

namespace coppice {

namespace {

constexpr std::chrono::milliseconds look_again{20};

}  // namespace

cluster::cluster(std::unique_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}
cluster::~cluster() = default;

std::unique_ptr<cluster> cluster_shell_access::make(system& home, cluster_options options,
                                                    std::unique_ptr<wire::carrier> carrier) {
  return std::unique_ptr<cluster>{new cluster{
      std::make_unique<cluster::implementation>(home, std::move(options), std::move(carrier))}};
}
cluster_shell& cluster_shell_access::of(cluster& c) noexcept { return c.impl_->shell; }

const std::string& cluster::self() const noexcept { return impl_->shell.options().node; }
const std::vector<std::string>& cluster::roles() const noexcept { return impl_->shell.own().roles; }
bool cluster::has_role(std::string_view role) const noexcept {
  return std::find(roles().begin(), roles().end(), role) != roles().end();
}

std::vector<std::string> cluster::nodes_with(std::string_view role) const {
  std::vector<std::string> found;
  for (const auto& n : impl_->shell.options().nodes)
    if (std::find(n.roles.begin(), n.roles.end(), role) != n.roles.end()) found.push_back(n.name);
  return found;
}

result<detail::cell_ptr> cluster::address(std::string_view place) {
  return impl_->shell.actors().address(place);
}

result<detail::cell_ptr> cluster::reach(std::string_view place,
                                        const std::vector<const event_type*>& events,
                                        std::chrono::milliseconds deadline) {
  auto x = address(place);
  if (!x) return x;
  using question = detail::request_node<wire::detail_wire::reach>;
  const auto until = std::chrono::steady_clock::now() + deadline;
  const auto left = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(until -
                                                                 std::chrono::steady_clock::now());
  };
  std::optional<error> told;  // by an earlier look: says more than that the last came too late
  for (;;) {
    detail::outside_wait wait;
    detail::request* answered =
        wait.ask(x->get(), new question({events}), std::max<std::int64_t>(left().count(), 1));
    if (!answered)
      return told.value_or(
          error{errc::timeout, "nobody has said by the deadline who is there", std::string{place}});
    std::unique_ptr<question> r{static_cast<question*>(answered)};
    const auto outcome = r->outcome();
    if (outcome) return x;
    // A node or an actor that starts just now is there in a moment.
    const errc code = outcome.error().code();
    if (told && (code == errc::expired || code == errc::timeout)) return *told;
    if ((code != errc::unreachable && code != errc::stopped) || left() <= look_again)
      return outcome.error();
    told = outcome.error();
    std::this_thread::sleep_for(look_again);
  }
}

std::vector<member> cluster::members() const { return impl_->shell.members(); }
traffic cluster::traffic() const { return impl_->shell.traffic(); }
void cluster::follow(const ref<member_changed>& who) { impl_->shell.follow(who); }

}  // namespace coppice
