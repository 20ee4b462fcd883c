// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

/// What the files that talk to OpenSSL share: owning pointers, and its words made readable.
namespace coppice::wire {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using extension_ptr = std::unique_ptr<X509_EXTENSION, freed_by<X509_EXTENSION_free>>;
using ssl_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;
using ssl_context_ptr = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;

/// Why OpenSSL's latest call of this thread failed; empties its queue of errors.
std::string openssl_error();

/// "2031-05-01 12:00:00 UTC".
std::string to_text(const ASN1_TIME* when);

/// The first certificate or private key in a PEM text; null if there is none, or none that can be
/// read. A key under a passphrase cannot: nobody is there to be asked for it.
certificate_ptr first_certificate(std::string_view pem);
key_ptr private_key(std::string_view pem);

/// A text from outside as it may stand in a log: printable ASCII, not longer than 100 characters.
std::string readable(std::string_view text);

/// Letters, digits and '-', 1 to 63 of them: names of nodes and clusters.
bool valid_name(std::string_view name) noexcept;

}  // namespace coppice::wire
