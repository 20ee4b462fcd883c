// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mishaps.hpp"
#include "stages.hpp"

#include <coppice/actors/actor.hpp>

#include <memory>
#include <string>

namespace shop {

/// To itself, once it runs.
struct begin {};
/// To itself, behind whatever intake has sent before it crashed.
struct settle {};

/// Leads one line from stage to stage, decides what becomes of it when a worker crashes on it, and
/// ends with it. It reads like one thread's work; it holds no thread while it waits.
///
/// If intake hands the order on, it arrives as `accepted`. When intake crashes, nobody can say
/// whether it had done so; but what it has sent is in this mailbox by then, so that a `settle` to
/// itself arrives after it.
///
/// When a stage's node is lost, or its answer is, nobody can say either what has been done. Then
/// the driver asks again, as for the first time: each stage knows the lines it has dealt with.
///
/// A driver may be lost at any moment. What it knew is then lost as well, so that whoever has
/// started it looks into the ledger and, if need be, has the line led from the start again.
class driver : public coppice::actor<begin, accepted, settle> {
 public:
  driver(stages at, std::shared_ptr<mishaps> counted, lead given)
      : at_(std::move(at)), mishaps_(std::move(counted)), line_(std::move(given.what)) {}

  void started() { send(self(), begin{}); }
  coppice::task<> on(const begin&);
  coppice::task<> on(const accepted& a);
  coppice::task<> on(const settle&);

 private:
  struct ending {
    outcome what;
    std::string reason;
  };

  coppice::task<ending> lead_on(const order_ptr& what);
  coppice::task<> close(enter last);
  template <class E, class... Es>
  coppice::task<coppice::result<typename E::reply>> attempt(coppice::ref<Es...> worker, E request);

  stages at_;
  std::shared_ptr<mishaps> mishaps_;
  line line_;
  bool accepted_ = false;  ///< intake has handed the order on
};

}  // namespace shop
