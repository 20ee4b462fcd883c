// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/certificates.hpp>
#include <coppice/runtime/wire/files_private.hpp>
#include <coppice/runtime/wire/openssl_private.hpp>

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

namespace coppice::wire {

namespace {

using std::chrono::hours;
using std::chrono::system_clock;

constexpr hours year{24 * 365};
constexpr hours clocks_differ_by{1};
constexpr const char* authority_name = "ca";

struct period {
  system_clock::time_point from, until;
};

error broken(const std::string& what) { return error{errc::failed, what + ": " + openssl_error()}; }

error bad_name(const char* whose, const std::string& name) {
  return error{errc::invalid, std::string{"'"} + name + "' is no name for a " + whose +
                                  ": it takes letters, digits and '-', 1 to 63 of them"};
}

period validity(const certificate_options& options, hours by_default) {
  const auto from = options.valid_from.value_or(system_clock::now() - clocks_differ_by);
  return {from, from + options.valid_for.value_or(by_default)};
}

bool set_time(ASN1_TIME* to, system_clock::time_point when) {
  return ASN1_TIME_set(to, system_clock::to_time_t(when)) != nullptr;
}

bool set_serial(X509* certificate) {
  // 127 random bits: positive, and different for each, as browsers demand of public authorities.
  const std::unique_ptr<BIGNUM, freed_by<BN_free>> number{BN_new()};
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
}

bool set_common_name(X509_NAME* to, const std::string& name) {
  return X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                    0) == 1;
}

std::string common_name(const X509* certificate) {
  const X509_NAME* const subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return {};
  const ASN1_STRING* const text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

bool add(X509* to, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  const extension_ptr extension{X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str())};
  return extension && X509_add_ext(to, extension.get(), -1) == 1;
}

/// Names and dates; what the certificate is for is added by the caller.
certificate_ptr unsigned_certificate(const std::string& name, EVP_PKEY* key, const period& valid) {
  certificate_ptr made{X509_new()};
  const bool good = made && X509_set_version(made.get(), X509_VERSION_3) == 1 &&
                    set_serial(made.get()) &&
                    set_time(X509_getm_notBefore(made.get()), valid.from) &&
                    set_time(X509_getm_notAfter(made.get()), valid.until) &&
                    set_common_name(X509_get_subject_name(made.get()), name) &&
                    X509_set_pubkey(made.get(), key) == 1;
  if (!good) made.reset();
  return made;
}

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(length)};
}

result<void> store(const issued_certificate& where, X509* certificate, EVP_PKEY* key,
                   bool overwrite) {
  const bio_ptr public_text{BIO_new(BIO_s_mem())}, secret_text{BIO_new(BIO_s_secmem())};
  if (!public_text || PEM_write_bio_X509(public_text.get(), certificate) != 1)
    return broken("The certificate cannot be written as text");
  if (!secret_text || PEM_write_bio_PKCS8PrivateKey(secret_text.get(), key, nullptr, nullptr, 0,
                                                    nullptr, nullptr) != 1)
    return broken("The key cannot be written as text");
  if (!overwrite) {
    for (const auto* path : {&where.certificate, &where.key}) {
      std::error_code ignored;
      if (std::filesystem::exists(std::filesystem::symlink_status(*path, ignored)))
        return error{errc::invalid,
                     path->string() + " is there already and is not overwritten unless told to"};
    }
  }
  std::string secret = text_of(secret_text.get());
  result<void> stored = write_whole(where.key, secret, overwrite);
  OPENSSL_cleanse(secret.data(), secret.size());
  if (!stored) return stored;
  stored = write_whole(where.certificate, text_of(public_text.get()), overwrite);
  if (!stored && !overwrite) {
    // A key without its certificate would only be in the way of the next attempt.
    std::error_code ignored;
    std::filesystem::remove(where.key, ignored);
  }
  return stored;
}

struct authority {
  certificate_ptr certificate;
  key_ptr key;
  std::string cluster;
  system_clock::time_point valid_until;
};

result<authority> read_authority(const std::filesystem::path& folder) {
  const auto certificate_path = folder / "ca.crt", key_path = folder / "ca.key";
  const auto certificate_text = read_whole(certificate_path);
  if (!certificate_text)
    return error{errc::failed,
                 "There is no authority to issue certificates",
                 {},
                 certificate_text.error().why()};
  auto key_text = read_whole(key_path);
  if (!key_text)
    return error{errc::failed,
                 "There is no authority's key to issue certificates with",
                 {},
                 key_text.error().why()};
  authority read;
  read.certificate = first_certificate(*certificate_text);
  if (!read.certificate) return broken(certificate_path.string() + " holds no certificate");
  read.key = private_key(*key_text);
  OPENSSL_cleanse(key_text->data(), key_text->size());
  if (!read.key) return broken(key_path.string() + " holds no key that can be read");
  if (X509_check_private_key(read.certificate.get(), read.key.get()) != 1)
    return broken(key_path.string() + " does not belong to " + certificate_path.string());
  read.cluster = common_name(read.certificate.get());
  if (!valid_name(read.cluster))
    return error{errc::failed, certificate_path.string() +
                                   " was not made for a cluster: its common name is '" +
                                   read.cluster + "', which is no cluster's name"};
  std::tm end{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(read.certificate.get()), &end) != 1)
    return broken(certificate_path.string() + " does not say until when it is valid");
  read.valid_until = system_clock::from_time_t(::timegm(&end));
  if (read.valid_until <= system_clock::now())
    return error{errc::failed, "The authority itself expired on " +
                                   to_text(X509_get0_notAfter(read.certificate.get())) + " (" +
                                   certificate_path.string() + ")"};
  return read;
}

}  // namespace

result<issued_certificate> create_authority(const std::filesystem::path& folder,
                                            const std::string& cluster,
                                            const certificate_options& options) {
  if (!valid_name(cluster)) return bad_name("cluster", cluster);
  if (auto ready = make_private_folder(folder); !ready) return ready.error();
  const period valid = validity(options, 10 * year);
  const key_ptr key{EVP_EC_gen("P-256")};
  if (!key) return broken("No key can be made");
  const certificate_ptr made = unsigned_certificate(cluster, key.get(), valid);
  X509* const own = made.get();
  const bool good = own && X509_set_issuer_name(own, X509_get_subject_name(own)) == 1 &&
                    add(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    add(own, own, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    add(own, own, NID_subject_key_identifier, "hash") &&
                    X509_sign(own, key.get(), EVP_sha256()) > 0;
  if (!good) return broken("No certificate can be made");
  issued_certificate issued{folder / "ca.crt", folder / "ca.key", valid.until};
  if (auto stored = store(issued, own, key.get(), options.overwrite); !stored)
    return stored.error();
  return issued;
}

result<issued_certificate> issue_certificate(const std::filesystem::path& folder,
                                             const std::string& node,
                                             const certificate_options& options) {
  if (!valid_name(node)) return bad_name("node", node);
  if (node == authority_name)
    return error{errc::invalid,
                 "A node called 'ca' would get the files of the authority: give it another name"};
  const auto by = read_authority(folder);
  if (!by) return by.error();
  period valid = validity(options, year);
  valid.until = std::min(valid.until, by->valid_until);
  const key_ptr key{EVP_EC_gen("P-256")};
  if (!key) return broken("No key can be made");
  const certificate_ptr made = unsigned_certificate(node, key.get(), valid);
  X509* const own = made.get();
  X509* const issuer = by->certificate.get();
  const bool good = own && X509_set_issuer_name(own, X509_get_subject_name(issuer)) == 1 &&
                    add(own, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                    add(own, issuer, NID_key_usage, "critical,digitalSignature") &&
                    add(own, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    add(own, issuer, NID_subject_key_identifier, "hash") &&
                    add(own, issuer, NID_authority_key_identifier, "keyid:always") &&
                    add(own, issuer, NID_subject_alt_name, "DNS:" + node + "." + by->cluster) &&
                    X509_sign(own, by->key.get(), EVP_sha256()) > 0;
  if (!good) return broken("No certificate can be made");
  issued_certificate issued{folder / (node + ".crt"), folder / (node + ".key"), valid.until};
  if (auto stored = store(issued, own, key.get(), options.overwrite); !stored)
    return stored.error();
  return issued;
}

}  // namespace coppice::wire
