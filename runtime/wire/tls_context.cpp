// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/files_private.hpp>
#include <coppice/runtime/wire/tls_context_private.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <utility>

namespace coppice::wire {

namespace {

constexpr int renew_within_days = 30;
constexpr long largest_chain_bytes = 32L * 1024;

using names_ptr = std::unique_ptr<GENERAL_NAMES, freed_by<GENERAL_NAMES_free>>;
using store_context_ptr = std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>>;

error unusable(const std::string& what) { return error{errc::failed, what}; }

/// All certificates of a PEM text. A text that breaks off within one is not read in part.
result<std::vector<certificate_ptr>> certificates_in(const std::string& path) {
  const auto text = read_whole(path);
  if (!text) return text.error();
  const bio_ptr source{BIO_new_mem_buf(text->data(), static_cast<int>(text->size()))};
  std::vector<certificate_ptr> found;
  ERR_clear_error();
  while (certificate_ptr one{PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr)})
    found.push_back(std::move(one));
  const bool at_end = ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM &&
                      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) return unusable(path + " is damaged: " + openssl_error());
  ERR_clear_error();
  if (found.empty()) return unusable(path + " holds no certificate in PEM form");
  return found;
}

result<void> trust(SSL_CTX* context, const std::string& path) {
  const auto authorities = certificates_in(path);
  if (!authorities) return authorities.error();
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const certificate_ptr& one : *authorities) {
    if (X509_check_ca(one.get()) == 0)
      return unusable(path + " holds a certificate that is not an authority's");
    if (X509_STORE_add_cert(store, one.get()) != 1)
      return unusable(path + " cannot be used: " + openssl_error());
  }
  return {};
}

result<void> use_key(SSL_CTX* context, const tls_options& files,
                     std::vector<std::string>& remarks) {
  auto text = read_whole(files.key);
  if (!text) return text.error();
  const key_ptr key = private_key(*text);
  OPENSSL_cleanse(text->data(), text->size());
  if (!key)
    return unusable(files.key +
                    " holds no private key in PEM form that can be read without a passphrase");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return unusable(files.key + " is not the key of " + files.certificate +
                    " (it may be that only one of them has been replaced so far)");
  }
  struct stat about {};
  if (::stat(files.key.c_str(), &about) == 0 && (about.st_mode & 077U) != 0)
    remarks.push_back("The private key " + files.key +
                      " can be read or changed by others than its owner: chmod 600 it");
  return {};
}

void remark_on_dates(const X509* certificate, const std::string& path,
                     std::vector<std::string>& remarks) {
  const ASN1_TIME* const end = X509_get0_notAfter(certificate);
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
    remarks.push_back("The certificate " + path + " is valid from " +
                      to_text(X509_get0_notBefore(certificate)) +
                      " on: peers refuse it until then");
  int days = 0, seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, end) != 1) return;
  if (days < 0 || seconds < 0)
    remarks.push_back("The certificate " + path + " expired on " + to_text(end) +
                      ": peers refuse it");
  else if (days < renew_within_days)
    remarks.push_back("The certificate " + path + " expires on " + to_text(end) +
                      ": issue a new one");
}

/// Not an error: the authorities that the peers trust may be others, while they are replaced.
void remark_on_issuer(SSL_CTX* context, X509* certificate, const std::string& path,
                      std::vector<std::string>& remarks) {
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  const store_context_ptr check{X509_STORE_CTX_new()};
  if (!check ||
      X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context), certificate, chain) != 1)
    return;
  X509_STORE_CTX_set_flags(check.get(), X509_V_FLAG_NO_CHECK_TIME);
  if (X509_verify_cert(check.get()) != 1)
    remarks.push_back("The certificate " + path +
                      " was not issued by an authority that this node trusts: " +
                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get())));
  ERR_clear_error();
}

result<void> use_certificate(SSL_CTX* context, const socket_options& options,
                             std::vector<std::string>& remarks) {
  const std::string& path = options.tls.certificate;
  const auto chain = certificates_in(path);
  if (!chain) return chain.error();
  X509* const own = chain->front().get();
  const auto node = node_named_by(own, options.cluster);
  if (!node) return error{errc::failed, path + " cannot be used", {}, node.error().why()};
  if (!options.node.empty() && *node != options.node)
    return unusable(path + " is the certificate of '" + *node + "', and this node is '" +
                    options.node + "'");
  if (SSL_CTX_use_certificate(context, own) != 1)
    return unusable(path + " cannot be used: " + openssl_error());
  for (std::size_t i = 1; i < chain->size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) != 1)
      return unusable(path + " cannot be used: " + openssl_error());
  remark_on_dates(own, path, remarks);
  remark_on_issuer(context, own, path, remarks);
  return {};
}

void look_at(const std::string& path, std::string& look) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0) {
    look += "error " + std::to_string(errno) + '\n';
    return;
  }
  for (const auto part :
       {static_cast<long long>(s.st_dev), static_cast<long long>(s.st_ino),
        static_cast<long long>(s.st_size), static_cast<long long>(s.st_mode),
        static_cast<long long>(s.st_mtim.tv_sec), static_cast<long long>(s.st_mtim.tv_nsec),
        static_cast<long long>(s.st_ctim.tv_sec), static_cast<long long>(s.st_ctim.tv_nsec)})
    look.append(std::to_string(part)).push_back(' ');
  look += '\n';
}

std::string look_of(const tls_options& files) {
  std::string look;
  for (const std::string* path : {&files.ca, &files.certificate, &files.key}) look_at(*path, look);
  return look;
}

}  // namespace

bool for_both_sides(const X509* certificate) noexcept {
  // OpenSSL computes this on first use and does not call it const.
  const auto usage = X509_get_extended_key_usage(const_cast<X509*>(certificate));
  return (usage & XKU_SSL_SERVER) != 0 && (usage & XKU_SSL_CLIENT) != 0;
}

result<std::string> node_named_by(const X509* certificate, std::string_view cluster) {
  if (!for_both_sides(certificate))
    return unusable(
        "its certificate may not be used on both sides of a connection: its extended key usage "
        "has to allow server and client authentication");
  const names_ptr names{static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
  std::string found, other;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const std::string_view text{
        reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
        static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))};
    const auto dot = text.find('.');
    const std::string_view node = text.substr(0, dot);
    if (dot == text.npos || text.substr(dot + 1) != cluster || !valid_name(node)) other = text;
    else if (found.empty() || found == node) found = node;
    else
      return unusable("its certificate names more than one node: '" + found + "' and '" +
                      std::string{node} + "'");
  }
  if (!found.empty()) return found;
  if (other.empty()) return unusable("its certificate names no node: there is no DNS name in it");
  return unusable("its certificate is for '" + readable(other) +
                  "', which is no node of the cluster '" + std::string{cluster} + "'");
}

result<std::shared_ptr<const tls_context>> tls_context::load(const socket_options& options,
                                                             std::vector<std::string>& remarks) {
  ERR_clear_error();
  auto made = std::make_shared<tls_context>();
  made->cluster_ = options.cluster;
  made->context_.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX* const context = made->context_.get();
  // Ours on both sides, so there is nothing to be compatible with. AES-128 first: it is as good
  // here and a third faster. No resumption: it would skip looking at the certificate.
  if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context,
                               "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                               "TLS_CHACHA20_POLY1305_SHA256") != 1 ||
      SSL_CTX_set_num_tickets(context, 0) != 1)
    return unusable("TLS cannot be set up: " + openssl_error());
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(context, largest_chain_bytes);

  if (auto done = trust(context, options.tls.ca); !done) return done.error();
  if (auto done = use_certificate(context, options, remarks); !done) return done.error();
  if (auto done = use_key(context, options.tls, remarks); !done) return done.error();
  return std::shared_ptr<const tls_context>{std::move(made)};
}

result<void> tls_files::open(std::vector<std::string>& reports) {
  const std::string look = look_of(options_.tls);
  auto loaded = tls_context::load(options_, reports);
  if (!loaded) return loaded.error();
  context_ = std::move(*loaded);
  in_use_ = look;
  return {};
}

std::shared_ptr<const tls_context> tls_files::current(std::vector<std::string>& reports) {
  // Looked at before they are read: what changes meanwhile looks different the next time.
  std::string look = look_of(options_.tls);
  if (look == in_use_) return context_;
  std::vector<std::string> remarks;
  auto loaded = tls_context::load(options_, remarks);
  if (loaded) {
    context_ = std::move(*loaded);
    in_use_ = std::move(look);
    reports.push_back("The TLS files have changed and are in use from now on");
    reports.insert(reports.end(), remarks.begin(), remarks.end());
  } else if (look != reported_) {
    // Tried again with each connection, because the reason may have been a lack of descriptors.
    reported_ = std::move(look);
    reports.push_back(
        "The TLS files have changed and cannot be used, those read before stay in use: " +
        to_string(loaded.error().why()));
  }
  return context_;
}

}  // namespace coppice::wire
