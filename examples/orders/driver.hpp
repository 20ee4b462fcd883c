// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "stages.hpp"

#include <coppice/actors/actor.hpp>

#include <string>

namespace shop {

/// To itself, behind whatever intake has sent before it crashed.
struct settle {
  std::uint64_t line;
};

/// Leads one line after the other from stage to stage, and decides what becomes of it when a
/// worker crashes on it. It reads like one thread's work; it holds no thread while it waits.
///
/// A line comes in as `line`; if intake hands an order on, it comes back as `accepted`. When
/// intake crashes, nobody can say whether it had done so; but what it has sent is in this mailbox
/// by then, so that a `settle` to itself arrives after it.
class clerk : public coppice::actor<line, accepted, settle> {
 public:
  clerk(stages at, coppice::ref<next_line> reader) : at_(std::move(at)), reader_(reader) {}

  void started();
  coppice::task<> on(const line& l);
  coppice::task<> on(const accepted& a);
  coppice::task<> on(const settle& s);

 private:
  struct ending {
    outcome what;
    std::string reason;
  };

  coppice::task<ending> lead(const order_ptr& what);
  coppice::task<> close(enter last);
  template <class E, class... Es>
  coppice::task<coppice::result<typename E::reply>> attempt(coppice::ref<Es...> worker, E request);

  stages at_;
  coppice::ref<next_line> reader_;
  std::uint64_t accepted_line_ = 0;  ///< the last one that intake handed on
};

}  // namespace shop
