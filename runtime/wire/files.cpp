// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/wire/files_private.hpp>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace coppice::wire {

namespace {

struct file {
  explicit file(int opened) noexcept : descriptor(opened) {}
  file(const file&) = delete;
  file& operator=(const file&) = delete;
  ~file() {
    if (descriptor >= 0) ::close(descriptor);
  }
  const int descriptor;
};

error failed(const char* what, const std::filesystem::path& path, int code) {
  return error{errc::failed, std::string{what} + " " + path.string() + ": " +
                                 std::generic_category().message(code)};
}

bool write_all(int to, std::string_view content) {
  while (!content.empty()) {
    const ssize_t wrote = ::write(to, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

/// A name that an earlier attempt which was cut off cannot have left behind.
result<std::string> fill_temporary(const std::filesystem::path& path, std::string_view content) {
  std::string name = path.string() + ".XXXXXX";
  const file temporary{::mkostemp(name.data(), O_CLOEXEC)};  // mode 0600
  if (temporary.descriptor < 0) return failed("Cannot create a file beside", path, errno);
  if (write_all(temporary.descriptor, content) && ::fsync(temporary.descriptor) == 0) return name;
  const int code = errno;
  ::unlink(name.c_str());
  return failed("Cannot write", path, code);
}

/// 0, or the code of the error.
int rename_to_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // Not every file system knows that call.
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  ::unlink(from.c_str());
  return 0;
}

}  // namespace

result<std::string> read_whole(const std::filesystem::path& path) {
  const file opened{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (opened.descriptor < 0) return failed("Cannot read", path, errno);
  struct stat about {};
  if (::fstat(opened.descriptor, &about) != 0) return failed("Cannot read", path, errno);
  if (!S_ISREG(about.st_mode)) return error{errc::failed, path.string() + " is not a file"};
  std::string content;
  char some[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(opened.descriptor, some, sizeof some);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("Cannot read", path, errno);
    if (got == 0) return content;
    content.append(some, static_cast<std::size_t>(got));
    if (content.size() > largest_file)
      return error{errc::failed, path.string() + " is larger than 1 MiB"};
  }
}

result<void> write_whole(const std::filesystem::path& path, std::string_view content,
                         bool overwrite) {
  const auto temporary = fill_temporary(path, content);
  if (!temporary) return temporary.error();
  const int code = overwrite ? (::rename(temporary->c_str(), path.c_str()) == 0 ? 0 : errno)
                             : rename_to_new(*temporary, path.string());
  if (code != 0) {
    ::unlink(temporary->c_str());
    return failed("Cannot put in place", path, code);
  }
  // The name reaches the disk with its folder.
  const std::filesystem::path parent = path.parent_path();
  const file folder{
      ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (folder.descriptor < 0 || ::fsync(folder.descriptor) != 0)
    return failed("Cannot bring to the disk the folder of", path, errno);
  return {};
}

result<void> make_private_folder(const std::filesystem::path& folder) {
  std::filesystem::path sofar;
  for (const auto& part : folder) {
    sofar /= part;
    if (::mkdir(sofar.c_str(), 0700) != 0 && errno != EEXIST)
      return failed("Cannot create the folder", sofar, errno);
  }
  return {};
}

}  // namespace coppice::wire
