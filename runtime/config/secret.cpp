// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/config/config.hpp>

#include <coppice/runtime/config/text_private.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace coppice {

namespace {

constexpr std::size_t most_secret_bytes = 4'096;

error refused(std::string text) { return error{errc::invalid, std::move(text)}; }

result<std::string> from_environment(const std::string& name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment once a node runs.
  const char* found = std::getenv(name.c_str());
  if (!found)
    return refused("a secret is missing: the environment variable " + detail::shortened(name) +
                   " is not set");
  if (!*found)
    return refused("a secret is missing: the environment variable " + detail::shortened(name) +
                   " is empty");
  return std::string{found};
}

result<std::string> from_file(const std::string& path, std::string* warning) {
  const std::string file = "the file " + detail::shortened(path, 200);
  const auto failed = [&file](int why) {
    return refused("a secret is missing: " + file +
                   " cannot be read: " + std::generic_category().message(why));
  };
  struct descriptor {
    int number;
    ~descriptor() {
      if (number >= 0) ::close(number);
    }
  } const opened{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (opened.number < 0) return failed(errno);
  struct stat about {};
  if (::fstat(opened.number, &about) != 0) return failed(errno);
  if (!S_ISREG(about.st_mode)) return refused("a secret is missing: " + file + " is no plain file");

  std::string text(most_secret_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(opened.number, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > most_secret_bytes)
    return refused("a secret is too long: " + file + " has more than " +
                   std::to_string(most_secret_bytes) + " bytes");
  text.resize(size);
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) return refused("a secret is missing: " + file + " is empty");
  if (warning && (about.st_mode & (S_IRGRP | S_IROTH)))
    *warning = file + " holds a secret and may be read by others; chmod 600 makes it its owner's";
  return text;
}

}  // namespace

result<std::string> resolve(const secret& where, std::string* warning) {
  switch (where.from) {
    case secret::source::environment: return from_environment(where.of);
    case secret::source::file: return from_file(where.of, warning);
    case secret::source::none: break;
  }
  return refused("a secret is missing: the cluster file says nothing of it");
}

}  // namespace coppice
