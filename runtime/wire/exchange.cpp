// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/exchange_private.hpp>

#include <algorithm>
#include <utility>

namespace coppice::wire {

namespace {

/// Every so many rounds of `time` the proxies that nobody refers to are let go.
constexpr std::uint32_t sweep_rounds = 100;

error no_such_place(std::string_view place, const std::string& why) {
  return error{errc::invalid, "'" + std::string{place.substr(0, 200)} + "' names no actor: " + why +
                                  "; write node:/path, e.g. beta:/shop/inventory"};
}

}  // namespace

struct exchange::implementation {
  implementation(detail::core& core_of_home, directory& dir, exchange_options given)
      : home(core_of_home), here(dir), options(std::move(given)) {}

  detail::core& home;
  directory& here;
  exchange_options options;
  std::vector<std::unique_ptr<counterpart>> peers;
  std::mutex guard;
  std::unordered_map<std::string, cell_ptr> own;  ///< of this very node, by path
  std::uint32_t rounds = 0;                       ///< of `time`
};

directory& exchange_access::here(exchange& x) noexcept { return x.impl_->here; }
const exchange_options& exchange_access::options(exchange& x) noexcept { return x.impl_->options; }

exchange::exchange(system& home, directory& here, exchange_options options)
    : impl_(std::make_unique<implementation>(detail::core_of(home), here, std::move(options))) {
  for (const std::string& name : impl_->options.peers)
    impl_->peers.push_back(std::make_unique<counterpart>(*this, impl_->home, impl_->options, name));
  impl_->home.overdue.add(this, [this] {
    for (const auto& p : impl_->peers)
      if (const auto with = p->now().with) with->flush();
  });
}

exchange::~exchange() { impl_->home.overdue.remove(this); }

counterpart* exchange::peer(std::string_view name) noexcept {
  for (const auto& p : impl_->peers)
    if (p->name == name) return p.get();
  return nullptr;
}

result<cell_ptr> exchange::address(std::string_view place) {
  const auto colon = place.find(':');
  if (colon == std::string_view::npos) return no_such_place(place, "it has no node");
  const std::string_view node = place.substr(0, colon), path = place.substr(colon + 1);
  if (!path.starts_with('/') || path.size() < 2 || path.size() > 4'096)
    return no_such_place(place, "the path does not begin with '/'");
  if (counterpart* there = peer(node)) {
    if (cell_ptr x = there->proxy_for(path, 0, false)) return x;
    return error{errc::limit, "too many addresses on node " + std::string{node} +
                                  " are known: limits.remote_addresses"};
  }
  if (node != impl_->options.node) {
    std::string known = impl_->options.node;
    for (const auto& p : impl_->peers) known += ", " + p->name;
    return no_such_place(place,
                         "there is no node '" + std::string{node} + "', but there are " + known);
  }
  return exchange_access::own(*this, path, 0);
}

/// `number` zero: whichever actor has the path when it is needed.
result<cell_ptr> exchange_access::own(exchange& x, std::string_view path, std::uint64_t number) {
  auto& all = *x.impl_;
  std::string key{path};
  if (number) key.append("#").append(std::to_string(number));
  std::lock_guard lock{all.guard};
  const auto known = all.own.find(key);
  if (known != all.own.end() && known->second->state() != detail::cell_state::ended)
    return known->second;
  if (known == all.own.end() && all.own.size() >= all.options.limits.remote_addresses)
    return error{errc::limit,
                 "too many addresses on this node itself are known: "
                 "limits.remote_addresses"};
  auto at = std::make_shared<remote_address>();
  at->peer = nullptr;
  at->space = &x;
  at->node = all.options.node;
  at->path = path;
  at->pinned = number != 0;
  at->number.store(number, std::memory_order_relaxed);
  return all.own[key] = make_own_proxy(all.home, std::move(at));
}

void exchange::began(counterpart& with, std::shared_ptr<outlet> way, bool reborn) {
  conversation_ptr begun;
  std::vector<cell_ptr> waiting;  // for room in another session's buffer
  if (reborn) with.renew(news::about::reborn, nullptr, "the node has been started again");
  {
    std::lock_guard lock{with.guard};
    waiting.swap(with.waiting_for_room);
    begun = new conversation{with, std::move(way), ++with.conversations};
    with.state_ = {begun, false, {}};
  }
  with.tell_all(news::about::began, begun, {});
}

void exchange::message(counterpart& from, lane on, std::span<const std::byte> message) {
  // Only `began` and `ended` change it, and neither comes meanwhile: no lock.
  if (conversation* with = from.state_.with.get()) with->message(on, message);
}

void exchange::ended(counterpart& with, std::string_view why, bool restarted) {
  conversation_ptr last;
  std::vector<cell_ptr> waiting;
  {
    std::lock_guard lock{with.guard};
    waiting.swap(with.waiting_for_room);
    last = std::exchange(with.state_.with, nullptr);
  }
  if (!last) return;
  last->close(why);
  if (restarted) with.renew(news::about::restarted, last, why);
  else with.tell_all(news::about::ended, last, why);
}

void exchange::unreachable(counterpart& peer, std::string_view why) {
  {
    std::lock_guard lock{peer.guard};
    if (peer.state_.with) return;
    peer.state_.unreachable = true;
    peer.state_.why = why;
  }
  peer.tell_all(news::about::unreachable, nullptr, why);
}

void exchange::unconfirmed(counterpart& by, std::span<const std::byte> message) {
  if (const conversation_ptr with = by.now().with) with->unconfirmed(message);
}

void exchange::drained(counterpart& to) { to.tell_those_who_wait_for_room(); }

void exchange::time() {
  const tick now = impl_->home.clock.now();
  for (const auto& p : impl_->peers) {
    p->time(now);
  }
  std::vector<cell_ptr> idle;
  {
    std::lock_guard lock{impl_->guard};
    const bool sweeps = ++impl_->rounds % sweep_rounds == 0;
    for (auto i = impl_->own.begin(); i != impl_->own.end();) {
      // Whoever watches it or is linked to it holds it too.
      if (sweeps && i->second->held_only_by(1) && i->second->is_idle()) {
        idle.push_back(std::move(i->second));
        i = impl_->own.erase(i);
        continue;
      }
      tell(*i->second, new news{news::about::time});
      ++i;
    }
  }
  for (const cell_ptr& x : idle) x->stop(exit_reason::normal(), 0, true);
}

void exchange::stop() {
  for (const auto& p : impl_->peers) {
    ended(*p, "this node stops", false);
    std::unordered_multimap<std::string, cell_ptr> proxies;
    {
      std::lock_guard lock{p->guard};
      proxies.swap(p->proxies);
    }
    for (const auto& [path, x] : proxies) x->stop(exit_reason::shutdown(), 0, true);
  }
  std::unordered_map<std::string, cell_ptr> own;
  {
    std::lock_guard lock{impl_->guard};
    own.swap(impl_->own);
  }
  for (const auto& [path, x] : own) x->stop(exit_reason::shutdown(), 0, true);
}

exchange_counts exchange::counts() const {
  exchange_counts all;
  for (const auto& p : impl_->peers) {
    all.events_sent += p->counts.events_sent.load(std::memory_order_relaxed);
    all.events_received += p->counts.events_received.load(std::memory_order_relaxed);
    all.asks_sent += p->counts.asks_sent.load(std::memory_order_relaxed);
    all.asks_received += p->counts.asks_received.load(std::memory_order_relaxed);
    all.denied += p->counts.denied.load(std::memory_order_relaxed);
    all.malformed += p->counts.malformed.load(std::memory_order_relaxed);
    conversation_ptr with;
    {
      std::lock_guard lock{p->guard};
      all.proxies += p->proxies.size();
      with = p->state_.with;
    }
    if (with) all.pending_asks += with->pending();
  }
  return all;
}

// ---- one peer ---------------------------------------------------------------------------------

counterpart::counterpart(exchange& of, detail::core& core_of_home, const exchange_options& given,
                         std::string its_name)
    : space(of), home(core_of_home), options(given), name(std::move(its_name)) {}

cell_ptr counterpart::proxy_for(std::string_view path, std::uint64_t number, bool pinned) {
  std::lock_guard lock{guard};
  const std::string key{path};
  const auto [first, last] = proxies.equal_range(key);
  // There may be one by path and one by ref: what comes of an actor is always given to the same.
  cell_ptr by_number, unknown;
  for (auto i = first; i != last; ++i) {
    remote_address& at = **address_of(*i->second);
    const std::uint64_t known = at.number.load(std::memory_order_relaxed);
    if (number == 0 ? !at.pinned && !at.gone : known == number && at.pinned == pinned)
      return i->second;
    if (number != 0 && known == number && !by_number) by_number = i->second;
    if (number != 0 && known == 0 && !at.pinned && !at.asked && !unknown) unknown = i->second;
  }
  if (by_number) return by_number;
  if (unknown) {
    // It stands for whichever actor is found there, and that is this one.
    (*address_of(*unknown))->number.store(number, std::memory_order_relaxed);
    return unknown;
  }
  // A peer makes up paths as long as it likes.
  constexpr std::size_t usual_path = 256;
  if (proxies.size() >= options.limits.remote_addresses ||
      path_bytes + path.size() > options.limits.remote_addresses * usual_path)
    return {};
  path_bytes += path.size();
  auto at = std::make_shared<remote_address>();
  at->peer = this;
  at->space = &space;
  at->node = name;
  at->path = path;
  at->pinned = pinned;
  at->on = options.bulk && options.bulk(path) ? lane::bulk : lane::user;
  at->number.store(number, std::memory_order_relaxed);
  return proxies.emplace(key, make_proxy(home, std::move(at)))->second;
}

std::uint64_t counterpart::begin_asking(remote_address& at) {
  std::lock_guard lock{guard};
  at.asked = true;
  return at.number.load(std::memory_order_relaxed);
}

std::vector<cell_ptr> counterpart::known_proxies(std::string_view path, std::uint64_t number) {
  std::vector<cell_ptr> all;
  std::lock_guard lock{guard};
  const auto [first, last] = proxies.equal_range(std::string{path});
  for (auto i = first; i != last; ++i)
    if ((*address_of(*i->second))->number.load(std::memory_order_relaxed) == number)
      all.push_back(i->second);
  return all;
}

bool counterpart::anything_waits() const {
  std::lock_guard lock{guard};
  return std::any_of(proxies.begin(), proxies.end(),
                     [](const auto& each) { return !each.second->is_idle(); });
}

cell_ptr counterpart::other_that_waits(const cell& proxy) const {
  const remote_address& at = **address_of(proxy);
  std::lock_guard lock{guard};
  const auto [first, last] = proxies.equal_range(at.path);
  for (auto i = first; i != last; ++i) {
    const cell& other = *i->second;
    const std::uint64_t number = (*address_of(other))->number;
    const bool same = number == at.number || number == 0;  // as far as anybody knows
    if (&other != &proxy && same && !other.is_idle()) return i->second;
  }
  return {};
}

void counterpart::tell_all(news::about what, const conversation_ptr& with, std::string_view text) {
  std::vector<cell_ptr> all;
  {
    std::lock_guard lock{guard};
    all.reserve(proxies.size());
    for (const auto& [path, x] : proxies) all.push_back(x);
  }
  for (const cell_ptr& x : all) {
    auto* n = new news{what};
    n->with = with;
    n->text = text;
    tell(*x, n);
  }
}

/// The node has a new incarnation. What the proxies stand for is forgotten here and not by them: in
/// the next session they may be told anew before they have heard of it.
void counterpart::renew(news::about what, const conversation_ptr& with, std::string_view text) {
  std::vector<cell_ptr> ended;
  {
    std::lock_guard lock{guard};
    for (auto i = proxies.begin(); i != proxies.end();) {
      remote_address& at = **address_of(*i->second);
      if (at.pinned) {
        path_bytes -= i->first.size();
        ended.push_back(std::move(i->second));
        i = proxies.erase(i);
        continue;
      }
      at.number.store(0, std::memory_order_relaxed);
      at.gone = false;
      ++i;
    }
  }
  for (const cell_ptr& x : ended) {
    auto* n = new news{what};
    n->with = with;
    n->text = text;
    tell(*x, n);
  }
  tell_all(what, with, text);
}

void counterpart::wait_for_room(cell_ptr who) {
  std::lock_guard lock{guard};
  waiting_for_room.push_back(std::move(who));
}

void counterpart::wait_for_time(cell_ptr who) {
  std::lock_guard lock{guard};
  waiting_for_time.push_back(std::move(who));
}

void counterpart::tell_those_who_wait_for_room() {
  std::vector<cell_ptr> all;
  {
    std::lock_guard lock{guard};
    all.swap(waiting_for_room);
  }
  for (const cell_ptr& x : all) tell(*x, new news{news::about::room});
}

void counterpart::time(tick now) {
  conversation_ptr with;
  std::vector<cell_ptr> impatient, idle;
  {
    std::lock_guard lock{guard};
    with = state_.with;
    impatient.swap(waiting_for_time);
    if (++rounds % sweep_rounds == 0)
      for (const auto& [path, x] : proxies)
        if (x->held_only_by(1)) idle.push_back(x);
  }
  if (with) with->time(now);
  for (const cell_ptr& x : impatient) tell(*x, new news{news::about::time});
  while (!idle.empty()) {
    cell& x = *idle.back();  // the table holds it, unless another sweep was faster
    cell_ptr keep = std::move(idle.back());
    idle.pop_back();
    tell(x, new news{news::about::sweep});
  }
}

bool counterpart::let_go(cell& of) {
  std::lock_guard lock{guard};
  // Only the table's own.
  if (!of.held_only_by(1)) return false;
  const auto [first, last] = proxies.equal_range((*address_of(of))->path);
  for (auto i = first; i != last; ++i) {
    if (i->second.get() != &of) continue;
    path_bytes -= i->first.size();
    proxies.erase(i);
    return true;
  }
  return false;
}

void counterpart::forget(const cell& of) {
  cell_ptr last_ref;
  std::lock_guard lock{guard};
  const auto [first, last] = proxies.equal_range((*address_of(of))->path);
  for (auto i = first; i != last; ++i) {
    if (i->second.get() != &of) continue;
    last_ref = std::move(i->second);
    path_bytes -= i->first.size();
    proxies.erase(i);
    return;
  }
}

counterpart::state counterpart::now() const {
  std::lock_guard lock{guard};
  return state_;
}

void counterpart::offence(std::string_view what) {
  if (options.offended) options.offended(name, what);
}

}  // namespace coppice::wire
