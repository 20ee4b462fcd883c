// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

/// A response without an end: records for one client, written by whoever has news.
///
///     auto news = std::make_shared<coppice::http::stream>();
///     watchers.push_back(news);                       // pushes later, from any thread
///     return coppice::http::response{.records = news};
///
/// A client may read slower than there is news. So a stream is bounded: what finds no room is left
/// out, and the client is told how many records it has missed, at the place where they are
/// missing: `{"lost":12}`. Whoever pushes is told too, and may send the whole state once the
/// client has caught up.
namespace coppice::http {

enum class stream_format : std::uint8_t {
  json_lines,    ///< one JSON text a line; empty lines keep the connection alive
  event_stream,  ///< for browsers: server-sent events, one `data:` line each
};

/// All members may be called from any thread.
class stream {
 public:
  explicit stream(stream_format format = stream_format::json_lines,
                  std::size_t capacity = std::size_t{1024} * 1024);

  /// A record: one JSON text without line breaks. False: it found no room, or nobody reads any
  /// more. A record larger than the whole capacity is taken while nothing else waits.
  bool push(std::string_view record);
  /// The client gets what waits, then the end.
  void end();
  /// The client is gone, or `end` was called: pushing is no use.
  bool closed() const;
  /// Everything pushed so far has been handed to the operating system.
  bool caught_up() const;

  stream_format format() const noexcept { return format_; }

 private:
  friend class connection;

  void append(std::string_view record);
  void tell_gap();
  void attach(std::size_t capacity, std::function<void()> wake);
  void detach();
  /// What waits; it counts as waiting until `written`.
  std::string take();
  void written();
  bool at_end() const;

  const stream_format format_;
  mutable std::mutex guard_;
  std::size_t capacity_;
  std::string waiting_;
  std::size_t in_flight_ = 0;  ///< bytes taken and not yet written
  std::uint64_t lost_ = 0;     ///< records since the gap was last told
  bool ended_ = false;         ///< by whoever pushes
  bool detached_ = false;      ///< by the connection
  std::function<void()> wake_;
};

}  // namespace coppice::http
