// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <coppice/actors/result.hpp>
#include <coppice/runtime/wire/openssl_private.hpp>
#include <coppice/runtime/wire/sockets.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace coppice::wire {

/// By its extended key usage.
bool for_both_sides(const X509* certificate) noexcept;

/// The node that a certificate names within `cluster`. Fails with what is wrong with it, said of
/// someone else: "its certificate ...". The chain to the authority is not looked at here.
result<std::string> node_named_by(const X509* certificate, std::string_view cluster);

/// What a connection needs of the files, immutable and shared by the connections that use it.
class tls_context {
 public:
  /// Reads the files. On failure the sentence says which file and why. `remarks` gets what an
  /// operator should know although the files can be used.
  static result<std::shared_ptr<const tls_context>> load(const socket_options& options,
                                                         std::vector<std::string>& remarks);

  SSL_CTX* get() const noexcept { return context_.get(); }
  const std::string& cluster() const noexcept { return cluster_; }

 private:
  ssl_context_ptr context_;
  std::string cluster_;
};

/// The context that goes with the files as they are now. Not thread-safe.
class tls_files {
 public:
  explicit tls_files(const socket_options& options) : options_(options) {}

  /// To be called first. Fails if the files cannot be used.
  result<void> open(std::vector<std::string>& reports);
  /// Looks whether a file has changed (size, times, inode) and takes the new ones into use if they
  /// are good. What there is to say of a change is said once.
  std::shared_ptr<const tls_context> current(std::vector<std::string>& reports);

 private:
  const socket_options& options_;
  std::shared_ptr<const tls_context> context_;
  std::string in_use_, reported_;  // how the files looked
};

}  // namespace coppice::wire
