// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/codec/codec.hpp>
#include <coppice/actors/detail/envelope.hpp>

/// How the envelopes of an event that has a name cross to another node and come back.
namespace coppice::detail {

/// One constant per event type that declares its name, see `event_type::wire`. What decodes gives
/// null or false when the bytes are not what the type says; the reader tells why.
struct wire_type {
  std::string (*shape)();
  std::string (*reply_shape)();  ///< null for an event that is no request
  void (*encode)(const node* x, writer& to);  ///< of an event's or a request's envelope
  node* (*decode_event)(reader& from);
  request* (*decode_request)(reader& from);  ///< null likewise
  void (*encode_reply)(const request* x, writer& to);
  bool (*decode_reply)(request* x, reader& from);  ///< makes the request its own answer
  const cause_ptr& (*failure)(const request* x);  ///< of a request that has become a failed answer
};

template <class E>
struct event_codec {
  static_assert(encodable<E>,
                "coppice: an event that has a name can be sent to other nodes, but a field of "
                "this one cannot: see docs/internals/codec.md for what can");

  static void encode(const node* x, writer& to) {
    if constexpr (request_event<E>) {
      if (x->type == &request_node<E>::as_request) {
        detail::encode(to, static_cast<const request_node<E>*>(x)->value);
        return;
      }
    }
    detail::encode(to, static_cast<const event_node<E>*>(x)->value);
  }
  static node* decode_event(reader& from) {
    E value{};
    return detail::decode(from, value) ? new event_node<E>(std::move(value)) : nullptr;
  }

  static constexpr wire_type make() {
    wire_type t{&shape_of<E>, nullptr, &encode, &decode_event, nullptr, nullptr, nullptr, nullptr};
    if constexpr (request_event<E>) {
      using reply = typename E::reply;
      static_assert(encodable<reply>,
                    "coppice: a request that has a name is answered over the wire, but a field of "
                    "its reply cannot be sent: see docs/internals/codec.md for what can");
      t.reply_shape = &shape_of<reply>;
      t.decode_request = [](reader& from) -> request* {
        E value{};
        return detail::decode(from, value) ? new request_node<E>(std::move(value)) : nullptr;
      };
      t.encode_reply = [](const request* x, writer& to) {
        detail::encode(to, static_cast<const request_node<E>*>(x)->reply);
      };
      t.failure = [](const request* x) -> const cause_ptr& {
        return static_cast<const request_node<E>*>(x)->why;
      };
      t.decode_reply = [](request* x, reader& from) {
        reply value{};
        if (!detail::decode(from, value)) return false;
        static_cast<request_node<E>*>(x)->succeed(std::move(value));
        return true;
      };
    }
    return t;
  }
  static constexpr wire_type record = make();
};

}  // namespace coppice::detail
