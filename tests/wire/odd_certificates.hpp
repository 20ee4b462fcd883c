// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

/// Certificates that `coppice cert` would not make.
namespace tools {

template <class T>
using openssl_ptr = std::unique_ptr<T, void (*)(T*)>;

/// What stands in a certificate; as it is, a good one for `stock` of the cluster `shop`.
struct oddity {
  std::string names = "DNS:stock.shop";                 ///< empty: no extension
  std::string usage = "serverAuth,clientAuth";          ///< empty: no extension
  std::string constraints = "critical,CA:FALSE";
  long from_hours = -1, to_hours = 24;
};

class odd_authority {
 public:
  explicit odd_authority(const std::string& name = "shop")
      : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), own_(make(name, key_.get())) {
    sign(own_.get(), key_.get(), {.names = "", .usage = "", .constraints = "critical,CA:TRUE"});
  }

  void write(const std::filesystem::path& to) const { put(to, own_.get()); }

  /// Writes FOLDER/NAME.crt and FOLDER/NAME.key.
  void issue(const std::filesystem::path& folder, const std::string& name,
             const oddity& what = {}) const {
    const openssl_ptr<EVP_PKEY> key{EVP_EC_gen("P-256"), EVP_PKEY_free};
    const auto certificate = make(name, key.get());
    sign(certificate.get(), key_.get(), what);
    put(folder / (name + ".crt"), certificate.get());
    put(folder / (name + ".key"), key.get());
  }

 private:
  static openssl_ptr<X509> make(const std::string& name, EVP_PKEY* key) {
    openssl_ptr<X509> made{X509_new(), X509_free};
    X509_set_version(made.get(), X509_VERSION_3);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_pubkey(made.get(), key);
    return made;
  }

  void sign(X509* certificate, EVP_PKEY* with, const oddity& what) const {
    X509* const issuer = own_ ? own_.get() : certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    X509_gmtime_adj(X509_getm_notBefore(certificate), what.from_hours * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), what.to_hours * 3600);
    extend(certificate, issuer, NID_basic_constraints, what.constraints);
    extend(certificate, issuer, NID_ext_key_usage, what.usage);
    extend(certificate, issuer, NID_subject_alt_name, what.names);
    REQUIRE(X509_sign(certificate, with, EVP_sha256()) > 0);
  }

  static void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
    if (value.empty()) return;
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const openssl_ptr<X509_EXTENSION> extension{
        X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str()), X509_EXTENSION_free};
    REQUIRE(extension);
    X509_add_ext(certificate, extension.get(), -1);
  }

  static void put(const std::filesystem::path& path, X509* certificate) {
    std::FILE* const to = std::fopen(path.c_str(), "w");
    REQUIRE(to);
    PEM_write_X509(to, certificate);
    std::fclose(to);
  }
  static void put(const std::filesystem::path& path, EVP_PKEY* key) {
    std::FILE* const to = std::fopen(path.c_str(), "w");
    REQUIRE(to);
    PEM_write_PrivateKey(to, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(to);
    std::filesystem::permissions(path, std::filesystem::perms{0600});
  }

  openssl_ptr<EVP_PKEY> key_;
  openssl_ptr<X509> own_;
};

}  // namespace tools
