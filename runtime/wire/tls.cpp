// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/actors/detail/assert.hpp>
#include <coppice/runtime/wire/tls_private.hpp>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace coppice::wire {

namespace {

/// What a connection that takes part in the protocol never has waiting; one that asks for answers
/// and does not read them is ended here.
constexpr std::size_t most_output = std::size_t{256} * 1024;

/// The byte by which the acceptor tells that the handshake is over and it has accepted.
constexpr std::byte accepted{1};

constexpr std::byte alert_record{21}, handshake_record{22};

/// A fatal alert, "unexpected message", for someone who does not speak TLS: so that its side of the
/// connection can tell what is wrong.
constexpr std::array speak_tls{std::byte{21}, std::byte{3}, std::byte{3}, std::byte{0},
                               std::byte{2},  std::byte{2}, std::byte{10}};

std::string authority_refusal(const X509* certificate) {
  char issuer[200] = "";
  if (certificate) X509_NAME_oneline(X509_get_issuer_name(certificate), issuer, sizeof issuer);
  return "its certificate was not issued by an authority of this cluster but by '" +
         readable(issuer) + "'";
}

std::string chain_refusal(int code, const X509* certificate, int depth) {
  const std::string whose = depth == 0 ? "its certificate" : "the authority of its certificate";
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " expired on " + to_text(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " is not yet valid, only from " + to_text(X509_get0_notBefore(certificate)) +
             " on: compare the clocks";
    case X509_V_ERR_INVALID_PURPOSE:
      return "its certificate may not be used on both sides of a connection: its extended key "
             "usage has to allow server and client authentication";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED: return authority_refusal(certificate);
    default: return whose + " cannot be trusted: " + X509_verify_cert_error_string(code);
  }
}

/// What a peer's alert says of us. TLS has few words: which of the meanings it is stands in the log
/// of the peer.
std::string alert_text(int alert) {
  switch (alert) {
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_DECRYPT_ERROR:
      return "it refused our certificate: not issued by an authority that it trusts";
    case SSL_AD_CERTIFICATE_EXPIRED: return "it refused our certificate: expired by its clock";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return "it refused our certificate: that may not be used on both sides of a connection";
    case SSL_AD_CERTIFICATE_UNKNOWN:
      return "it refused our certificate: that is not for the node or the cluster it expects";
    case SSL_AD_BAD_CERTIFICATE:
      return "it refused our certificate: not yet valid by its clock, or bad in itself";
    case SSL_AD_CERTIFICATE_REQUIRED: return "it demands a certificate and was shown none";
    case SSL_AD_PROTOCOL_VERSION: return "it does not speak TLS 1.3";
    default:
      return std::string{"it ended TLS with the alert '"} + SSL_alert_desc_string_long(alert) + "'";
  }
}

std::string error_text(unsigned long code) {
  const int reason = ERR_GET_REASON(code);
  if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
    if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
      return alert_text(reason - SSL_AD_REASON_OFFSET);
    if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) return "it showed no certificate";
    if (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_WRONG_VERSION_NUMBER ||
        reason == SSL_R_VERSION_TOO_LOW)
      return "it does not speak TLS 1.3";
  }
  const char* const words = ERR_reason_error_string(code);
  return std::string{"its bytes are not good TLS: "} + (words ? words : "no reason given");
}

}  // namespace

/// What OpenSSL calls.
struct tls_callbacks {
  static int write(BIO* bio, const char* data, int length) noexcept {
    auto& to = *static_cast<tls_stream*>(BIO_get_data(bio));
    if (to.output().size() > most_output) return -1;
    const auto bytes = std::as_bytes(std::span{data, static_cast<std::size_t>(length)});
    to.output_.insert(to.output_.end(), bytes.begin(), bytes.end());
    return length;
  }

  static int read(BIO* bio, char* into, int length) noexcept {
    auto& from = *static_cast<tls_stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (from.input_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const std::size_t n = std::min(from.input_.size(), static_cast<std::size_t>(length));
    std::memcpy(into, from.input_.data(), n);
    from.input_ = from.input_.subspan(n);
    return static_cast<int>(n);
  }

  static long control(BIO*, int what, long, void*) noexcept { return what == BIO_CTRL_FLUSH; }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* const m =
          BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coppice link");
      detail::require(m, "OpenSSL has no memory for a table of functions");
      BIO_meth_set_write(m, write);
      BIO_meth_set_read(m, read);
      BIO_meth_set_ctrl(m, control);
      return m;
    }();
    return made;
  }

  /// For each certificate of the chain, the peer's own last, and for each thing wrong with them.
  static int verify(int good, X509_STORE_CTX* chain) noexcept {
    auto* const ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto& stream = *static_cast<tls_stream*>(SSL_get_app_data(ssl));
    const X509* const certificate = X509_STORE_CTX_get_current_cert(chain);
    const int depth = X509_STORE_CTX_get_error_depth(chain);
    if (good == 0) {
      stream.refusal_ = chain_refusal(X509_STORE_CTX_get_error(chain), certificate, depth);
      return 0;
    }
    if (depth > 0) return 1;
    stream.refusal_ = stream.judge(certificate);
    if (stream.refusal_.empty()) return 1;
    // OpenSSL chooses the alert by this: "unsupported certificate", or of a code that it does not
    // expect here "certificate unknown", which nothing else that we refuse becomes.
    X509_STORE_CTX_set_error(chain, for_both_sides(certificate) ? X509_V_ERR_UNNESTED_RESOURCE
                                                                : X509_V_ERR_INVALID_PURPOSE);
    return 0;
  }
};

tls_stream::tls_stream(std::shared_ptr<const tls_context> context, bool outgoing,
                       std::string expected, std::uint64_t records_per_key, opening how)
    : context_(std::move(context)),
      outgoing_(outgoing),
      expected_(std::move(expected)),
      records_per_key_(records_per_key),
      how_(how),
      ssl_(SSL_new(context_->get())) {
  BIO* const bio = BIO_new(tls_callbacks::method());
  detail::require(ssl_ && bio, "OpenSSL has no memory for a connection");
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_app_data(ssl_.get(), this);
  SSL_set_verify(ssl_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                 tls_callbacks::verify);
  if (outgoing_) SSL_set_connect_state(ssl_.get());
  else SSL_set_accept_state(ssl_.get());
}

std::string tls_stream::judge(const X509* certificate) {
  auto node = node_named_by(certificate, context_->cluster());
  if (!node) return node.error().why()->what;
  peer_ = std::move(*node);
  if (expected_.empty() || peer_ == expected_) return {};
  return "its certificate is that of '" + peer_ + "', and '" + expected_ + "' was expected";
}

tls_stream::progress tls_stream::failed(std::string why) {
  why_ = std::move(why);
  input_ = {};
  return progress::failed;
}

std::string tls_stream::failure(int result) {
  const int kind = SSL_get_error(ssl_.get(), result);
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  if (!refusal_.empty()) return refusal_;
  if (kind == SSL_ERROR_ZERO_RETURN) return "it closed the connection";
  if (output().size() > most_output) return "it does not read what TLS has to answer";
  return code == 0 ? "its TLS broke off" : error_text(code);
}

bool tls_stream::looks_like_tls() {
  if (heard_ || input_.empty()) return true;
  heard_ = true;
  const std::byte first = input_.front();
  if (first == handshake_record || (outgoing_ && first == alert_record)) return true;
  if (!outgoing_) output_.assign(speak_tls.begin(), speak_tls.end());
  return false;
}

tls_stream::progress tls_stream::handshake() {
  if (!looks_like_tls()) return failed("it does not speak TLS, and this side does");
  ERR_clear_error();
  if (const int done = SSL_do_handshake(ssl_.get()); done != 1) {
    if (SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ) return progress::more;
    return failed(failure(done));
  }
  return settle();
}

tls_stream::progress tls_stream::settle() {
  if (how_ == opening::silent) return progress::done;
  if (!outgoing_) return write({&accepted, 1}) ? progress::done : progress::failed;
  std::byte first{};
  const std::ptrdiff_t got = read({&first, 1});
  if (got == 0) return progress::more;
  if (got < 0) return progress::failed;
  if (first != accepted) return failed("it speaks TLS but is no node of this protocol");
  return progress::done;
}

std::ptrdiff_t tls_stream::read(std::span<std::byte> into) {
  ERR_clear_error();
  const int got = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
  if (got > 0) return got;
  if (SSL_get_error(ssl_.get(), got) == SSL_ERROR_WANT_READ) return 0;
  failed(failure(got));
  return -1;
}

bool tls_stream::write(std::span<const std::byte> plain) {
  detail::require(plain.size() <= record_bytes, "more than one TLS record was to be written");
  ERR_clear_error();
  if (++records_ % records_per_key_ == 0) SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED);
  const int wrote = SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size()));
  if (wrote == static_cast<int>(plain.size())) return true;
  failed(failure(wrote));
  return false;
}

void tls_stream::finish() {
  if (finished_ || !why_.empty() || SSL_is_init_finished(ssl_.get()) != 1) return;
  finished_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void tls_stream::sent(std::size_t bytes) noexcept {
  output_sent_ += bytes;
  if (output_sent_ < output_.size()) return;
  output_.clear();
  output_sent_ = 0;
}

}  // namespace coppice::wire
