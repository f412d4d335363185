// SPDX-License-Identifier: MIT
#include "coproc/fcli_streams.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace prewarm::coproc {
namespace {

constexpr std::string_view kPrefix = "fcli.";
// One that is younger may not have been locked yet.
constexpr time_t kAbandonedSeconds = 60;
constexpr const char* kNull = "/dev/null";

void remove_directory(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") ::unlink((path + "/" + entry->d_name).c_str());
  }
  ::closedir(directory);
  ::rmdir(path.c_str());
}

os::Fd lock(const std::string& path) {
  os::Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return {};
  return fd;
}

void remove_abandoned(const std::string& parent) {
  DIR* directory = ::opendir(parent.c_str());
  if (directory == nullptr) return;
  const time_t before = std::time(nullptr) - kAbandonedSeconds;
  while (const dirent* entry = ::readdir(directory)) {
    if (!std::string_view(entry->d_name).starts_with(kPrefix)) continue;
    const std::string path = parent + "/" + entry->d_name;
    struct stat s;
    if (::lstat(path.c_str(), &s) != 0 || s.st_mtime > before) continue;
    if (const os::Fd held = lock(path); held.valid()) remove_directory(path);
  }
  ::closedir(directory);
}

// By which the tool can open for itself what the caller has, with nothing lost: what has no offset,
// and no end that opening it again could hold up. So files, pipes and sockets have none.
std::string path_of(int fd) {
  struct stat s;
  if (::fstat(fd, &s) != 0 || !S_ISCHR(s.st_mode)) return {};
  if (s.st_rdev == makedev(1, 3)) return kNull;
  if (::isatty(fd) == 0) return {};
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd);
}

}  // namespace

bool are_same_open_file(int a, int b) {
  const pid_t self = ::getpid();
  return ::syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

os::Result<FifoDirectory> FifoDirectory::make(const std::string& parent) {
  remove_abandoned(parent);
  std::string path = parent + "/" + std::string(kPrefix) + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return os::failed("make a directory", path);
  os::Fd held = lock(path);
  if (!held.valid()) {
    const auto failure = os::failed("lock", path);
    ::rmdir(path.c_str());
    return failure;
  }
  return FifoDirectory(std::move(path), std::move(held));
}

FifoDirectory::~FifoDirectory() {
  if (lock_.valid()) remove_directory(path_);
}

FcliStreams::~FcliStreams() {
  for (const Fifo& fifo : fifos_) ::unlink(fifo.path.c_str());
}

os::Result<os::Fd> FcliStreams::make(const std::string& path, int flags) {
  if (::mkfifo(path.c_str(), 0600) != 0) return os::failed("make a FIFO", path);
  os::Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  struct stat s;
  if (!fd.valid() || ::fstat(fd.get(), &s) != 0) {
    const auto failure = os::failed("open a FIFO", path);
    ::unlink(path.c_str());
    return failure;
  }
  fifos_.push_back({path, s.st_dev, s.st_ino});
  return fd;
}

os::Result<std::vector<std::unique_ptr<Relay>>> FcliStreams::open(const std::string& prefix,
                                                                  bool takes_stdin,
                                                                  Streams& streams,
                                                                  Invocation& invocation) {
  std::vector<std::unique_ptr<Relay>> relays;
  invocation.in = takes_stdin ? path_of(streams[0].get()) : kNull;
  if (invocation.in.empty()) {
    invocation.in = prefix + "-in";
    auto fifo = make(invocation.in, O_PATH);
    if (!fifo) return std::unexpected(fifo.error());
    relays.push_back(std::make_unique<InputRelay>(std::move(*fifo), std::move(streams[0])));
  }
  const bool is_one = are_same_open_file(streams[1].get(), streams[2].get());
  const auto open_output = [&](os::Fd& stream, const char* name) -> os::Result<std::string> {
    std::string path = path_of(stream.get());
    if (!path.empty()) return path;
    path = prefix + name;
    auto fifo = make(path, O_RDONLY | O_NONBLOCK);
    if (!fifo) return std::unexpected(fifo.error());
    relays.push_back(std::make_unique<OutputRelay>(std::move(*fifo), std::move(stream)));
    return path;
  };
  auto out = open_output(streams[1], "-out");
  if (!out) return std::unexpected(out.error());
  invocation.out = std::move(*out);
  if (is_one) {
    streams[2].reset();
    invocation.err = invocation.out;
    return relays;
  }
  auto err = open_output(streams[2], "-err");
  if (!err) return std::unexpected(err.error());
  invocation.err = std::move(*err);
  return relays;
}

bool FcliStreams::are_in_place() const {
  return std::all_of(fifos_.begin(), fifos_.end(), [](const Fifo& fifo) {
    struct stat s;
    return ::lstat(fifo.path.c_str(), &s) == 0 && s.st_dev == fifo.device && s.st_ino == fifo.inode;
  });
}

}  // namespace prewarm::coproc
