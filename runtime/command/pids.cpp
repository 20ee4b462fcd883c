// SPDX-License-Identifier: BSD-3-Clause
#include <coppice/runtime/command/pids.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace coppice::command {

namespace {

std::string reason() { return std::generic_category().message(errno); }

/// FNV-1a.
std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 14'695'981'039'346'656'037U;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1'099'511'628'211U;
  return h;
}

}  // namespace

std::optional<process_id> identify(pid_t number) {
  std::ifstream file{"/proc/" + std::to_string(number) + "/stat"};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  // The second field is the program's name in brackets, which may hold anything.
  const auto bracket = text.rfind(')');
  if (bracket == std::string::npos) return std::nullopt;
  std::istringstream rest{text.substr(bracket + 1)};
  std::string field;
  constexpr int start_time = 22;
  for (int i = 3; i < start_time; ++i) {
    rest >> field;
    if (i == 3 && (field == "Z" || field == "X")) return std::nullopt;  // has ended
  }
  process_id id{.number = number};
  rest >> id.started;
  return rest ? std::optional{id} : std::nullopt;
}

result<void> send_signal(const process_id& to, int signal) {
  const error gone{errc::not_found, "process " + std::to_string(to.number) + " has ended"};
  // The descriptor keeps the number from being given to another process between look and signal.
  // (glibc 2.36 declares its functions for this without extern "C".)
  const auto process = static_cast<int>(::syscall(SYS_pidfd_open, to.number, 0));
  if (process < 0) return gone;
  const bool same = identify(to.number) == to;
  const bool sent = same && ::syscall(SYS_pidfd_send_signal, process, signal, nullptr, 0) == 0;
  const std::string why = reason();
  ::close(process);
  if (!same) return gone;
  if (!sent) return error{errc::failed, "process " + std::to_string(to.number) + ": " + why};
  return {};
}

result<std::string> runtime_folder() {
  const char* given = std::getenv("XDG_RUNTIME_DIR");  // NOLINT(concurrency-mt-unsafe)
  const std::string folder = given && *given ? std::string{given} + "/coppice"
                                             : "/tmp/coppice-" + std::to_string(::getuid());
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return error{errc::failed, folder + ": " + reason()};
  struct stat is {};
  if (::lstat(folder.c_str(), &is) != 0) return error{errc::failed, folder + ": " + reason()};
  if (!S_ISDIR(is.st_mode) || is.st_uid != ::getuid() || (is.st_mode & 022) != 0)
    return error{errc::denied, folder + " is not a folder that only you can write to"};
  return folder;
}

pid_file::pid_file(const std::string& folder, const std::string& cluster,
                   const std::string& config_path) {
  std::error_code failed;
  const auto whole = std::filesystem::weakly_canonical(config_path, failed);
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(hash(failed ? config_path : whole.string())));
  path_ = folder + '/' + cluster + '-' + digits + ".pids";
}

pid_file::~pid_file() {
  if (lock_ < 0) return;
  ::unlink(path_.c_str());
  ::close(lock_);
}

result<void> pid_file::take() {
  const std::string name = path_ + ".lock";
  lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return error{errc::failed, name + ": " + reason()};
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return {};
  ::close(std::exchange(lock_, -1));
  return error{errc::already_started, "this cluster is up already on this machine"};
}

result<void> pid_file::write(const std::map<std::string, process_id>& nodes) {
  const std::string next = path_ + ".next";
  {
    std::ofstream file{next, std::ios::trunc};
    for (const auto& [name, id] : nodes)
      file << name << ' ' << id.number << ' ' << id.started << '\n';
    file.flush();
    if (!file) return error{errc::failed, next + ": cannot be written"};
  }
  if (std::rename(next.c_str(), path_.c_str()) != 0)
    return error{errc::failed, path_ + ": " + reason()};
  return {};
}

std::map<std::string, process_id> pid_file::read() const {
  std::map<std::string, process_id> nodes;
  std::ifstream file{path_};
  std::string name;
  process_id id;
  while (file >> name >> id.number >> id.started)
    if (identify(id.number) == id) nodes.emplace(name, id);
  return nodes;
}

}  // namespace coppice::command
