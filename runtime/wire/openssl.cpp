// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/openssl_private.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <ctime>

namespace coppice::wire {

namespace {

/// Without one OpenSSL would ask on the terminal, and the node would hang there.
int no_passphrase(char*, int, int, void*) { return -1; }

bio_ptr over(std::string_view text) {
  return bio_ptr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "OpenSSL gives no reason";
  const char* const reason = ERR_reason_error_string(code);
  return reason ? reason : "OpenSSL error " + std::to_string(code);
}

std::string to_text(const ASN1_TIME* when) {
  std::tm parts{};
  if (!when || ASN1_TIME_to_tm(when, &parts) != 1) return "an unreadable time";
  char text[40];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

certificate_ptr first_certificate(std::string_view pem) {
  return certificate_ptr{PEM_read_bio_X509(over(pem).get(), nullptr, no_passphrase, nullptr)};
}

key_ptr private_key(std::string_view pem) {
  return key_ptr{PEM_read_bio_PrivateKey(over(pem).get(), nullptr, no_passphrase, nullptr)};
}

std::string readable(std::string_view text) {
  std::string clean{text.substr(0, 100)};
  for (char& c : clean)
    if (c < ' ' || c > '~' || c == '\'') c = '?';
  return clean;
}

bool valid_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace coppice::wire
