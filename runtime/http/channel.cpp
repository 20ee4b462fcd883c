// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/http/channel_private.hpp>

#include <algorithm>
#include <span>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

namespace coppice::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;  // NOLINT(misc-unused-using-decls): it is used throughout
namespace wrong = boost::system::errc;

namespace {

constexpr std::size_t received_at_once = std::size_t{16} * 1024;
/// So much is encrypted at a time: a large answer must not lie in memory twice.
constexpr std::size_t sealed_at_once = std::size_t{64} * 1024;
constexpr std::byte handshake_record{22};

}  // namespace

void channel::secure(std::shared_ptr<const wire::tls_context> with, bool outgoing,
                     std::string expected, std::function<void(error_code)> then) {
  outgoing_ = outgoing;
  tls_ = std::make_unique<wire::tls_stream>(std::move(with), outgoing, std::move(expected),
                                            wire::tls_stream::usual_records_per_key,
                                            wire::tls_stream::opening::silent);
  if (outgoing) {
    tls_->handshake();  // has nothing to object to yet
    flush();
  }
  shake_hands(std::move(then));
}

void channel::shake_hands(std::function<void(error_code)> then) {
  const bool first = received_.empty();
  receive([this, first, then = std::move(then)](error_code failed) {
    if (failed) return then(failed);
    if (first && !outgoing_ && received_.front() != handshake_record) {
      tls_.reset();
      return then(wrong::make_error_code(wrong::wrong_protocol_type));
    }
    const auto progress = tls_->handshake();
    flush();
    if (progress == wire::tls_stream::progress::more) return shake_hands(then);
    then(progress == wire::tls_stream::progress::done
             ? error_code{}
             : error_code{wrong::make_error_code(wrong::protocol_error)});
  });
}

void channel::receive(std::function<void(error_code)> then) {
  received_.resize(received_at_once);
  socket_.async_read_some(
      asio::buffer(received_),
      [me = shared_from_this(), then = std::move(then)](error_code failed, std::size_t n) {
        if (!failed) me->tls_->feed(std::span{me->received_}.first(n));
        then(failed);
      });
}

void channel::read(asio::mutable_buffer into, done then) {
  if (!tls_) return socket_.async_read_some(into, std::move(then));
  const std::ptrdiff_t got = tls_->read({static_cast<std::byte*>(into.data()), into.size()});
  flush();  // it may have asked for new keys
  if (got == 0)
    return receive([this, into, then = std::move(then)](error_code failed) {
      if (failed) then(failed, 0);
      else read(into, then);
    });
  asio::post(socket_.get_executor(), [me = shared_from_this(), got, then = std::move(then)] {
    if (got > 0) then({}, static_cast<std::size_t>(got));
    else then(wrong::make_error_code(wrong::protocol_error), 0);
  });
}

void channel::write(const pieces& what, done then) {
  if (!tls_) return asio::async_write(socket_, what, std::move(then));
  plain_ = what;
  plain_bytes_ = asio::buffer_size(what);
  then_ = std::move(then);
  flush();
}

/// One record of what is to be written.
bool channel::seal() {
  asio::const_buffer& from = plain_[0].size() > 0 ? plain_[0] : plain_[1];
  const std::size_t n = std::min(from.size(), wire::tls_stream::record_bytes);
  const bool sealed = tls_->write({static_cast<const std::byte*>(from.data()), n});
  from += n;
  return sealed;
}

void channel::flush() {
  if (sending_) return;
  if (broken_) return written(broken_);
  while (asio::buffer_size(plain_) > 0 && tls_->output().size() < sealed_at_once)
    if (!seal()) {
      plain_ = {};
      return written(wrong::make_error_code(wrong::protocol_error));
    }
  const auto output = tls_->output();
  if (output.empty()) {
    written({});
    error_code ignored;
    if (finishing_) socket_.shutdown(tcp::socket::shutdown_send, ignored);
    return;
  }
  // Out of the stream's reach: that may add to its output, and move it, while this is on its way.
  sealed_.assign(output.begin(), output.end());
  tls_->sent(output.size());
  sending_ = true;
  asio::async_write(socket_, asio::buffer(sealed_),
                    [me = shared_from_this()](error_code failed, std::size_t) {
                      me->sending_ = false;
                      me->broken_ = failed;
                      me->flush();
                    });
}

void channel::written(error_code how) {
  if (!then_) return;
  asio::post(socket_.get_executor(),
             [me = shared_from_this(), how, n = plain_bytes_,
              then = std::exchange(then_, nullptr)] { then(how, how ? 0 : n); });
}

void channel::finish() {
  error_code ignored;
  if (!tls_) {
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    return;
  }
  finishing_ = true;
  tls_->finish();
  flush();
}

void channel::close() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace coppice::http
