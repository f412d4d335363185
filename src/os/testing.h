// SPDX-License-Identifier: MIT
//
// For tests only: processes, pipes and files as tests need them. Nothing here sleeps; whatever
// waits waits for an event, at most kBoundMs.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "os/fd.h"
#include "os/process.h"

// What can't be done with a sanitizer's runtime in the process says so with this.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PREWARM_SANITIZED 1
#else
#define PREWARM_SANITIZED 0
#endif

namespace prewarm::os {

// Far more than anything here takes on a busy machine under a sanitizer.
inline constexpr int kBoundMs = 20000;

struct Pipe {
  Fd read;
  Fd write;
};

inline Pipe make_pipe() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  return {Fd(ends[0]), Fd(ends[1])};
}

inline bool wait_readable(int fd, int wait_ms = kBoundMs) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, wait_ms) == 1;
}

// Until end of file, or until nothing came for kBoundMs.
inline std::string read_all(int fd) {
  std::string text;
  std::vector<char> buffer(65536);
  while (wait_readable(fd)) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return text;
}

// Exactly one value of a plain type, as another process wrote it. False: it did not come.
template <class T>
bool read_value(int fd, T& value) {
  auto* at = reinterpret_cast<char*>(&value);
  std::size_t used = 0;
  while (used < sizeof value && wait_readable(fd)) {
    const ssize_t n = ::read(fd, at + used, sizeof value - used);
    if (n <= 0) break;
    used += static_cast<std::size_t>(n);
  }
  return used == sizeof value;
}

template <class T>
bool write_value(int fd, const T& value) {
  return ::write(fd, &value, sizeof value) == static_cast<ssize_t>(sizeof value);
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// `count` values of a plain type that lie in `bytes` at `offset`, as in an ELF file; none if not
// all of them do.
template <class T>
std::vector<T> read_row(const std::string& bytes, std::size_t offset, std::size_t count) {
  if (offset > bytes.size() || count > (bytes.size() - offset) / sizeof(T)) return {};
  std::vector<T> values(count);
  std::memcpy(values.data(), bytes.data() + offset, count * sizeof(T));
  return values;
}

inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Open descriptors of a process: "self" or its pid.
inline std::set<int> open_descriptors(const std::string& process = "self") {
  std::set<int> numbers;
  DIR* directory = ::opendir(("/proc/" + process + "/fd").c_str());
  if (directory == nullptr) return numbers;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (process != "self" || fd != ::dirfd(directory)) numbers.insert(fd);
  }
  ::closedir(directory);
  return numbers;
}

inline bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// Whether the process behind `pidfd` has ended, waiting for that.
inline bool has_ended(const Fd& pidfd, int wait_ms = kBoundMs) {
  return pidfd.valid() && wait_readable(pidfd.get(), wait_ms);
}

// The wait status of a child, or -1 if it is none or doesn't end.
inline int wait_for(pid_t pid) {
  int status = -1;
  if (pid <= 0 || !has_ended(watch(pid))) return -1;
  return ::waitpid(pid, &status, 0) == pid ? status : -1;
}

// True if this process has no child at all, not even one that nobody waited for.
inline bool is_childless() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

// For cleaning up after a test that failed.
inline void kill_children() {
  const std::string self = std::to_string(::getpid());
  std::ifstream children("/proc/self/task/" + self + "/children");
  for (pid_t pid = 0; children >> pid;) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

// A base of fixtures: a test leaves no child, and no descriptor that wasn't there before it. It
// looks when all that a derived fixture has is gone.
class LeavesNothing : public ::testing::Test {
 protected:
  LeavesNothing() { EXPECT_TRUE(is_childless()) << "another test left a child"; }
  ~LeavesNothing() override {
    EXPECT_TRUE(is_childless());
    kill_children();
    EXPECT_EQ(open_descriptors(), descriptors_);
  }

 private:
  const std::set<int> descriptors_ = open_descriptors();
};

// A copy of this process. What is buffered here is written first: the thread sanitizer's _exit
// flushes, too, and it would be written twice.
inline pid_t fork_flushed() {
  std::fflush(nullptr);
  return ::fork();
}

// A forked child that runs `function` and exits with what that returns; ended at the latest with
// this object.
class Child {
 public:
  template <class Function>
  explicit Child(Function function) : pid_(fork_flushed()) {
    if (pid_ == 0) ::_exit(function());
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    kill();
    ::waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  void kill() const { ::kill(pid_, SIGKILL); }
  // Its wait status, or -1.
  int wait() {
    const int status = wait_for(pid_);
    if (status != -1) pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

// A directory that goes with this object.
class TempDirectory {
 public:
  TempDirectory() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr && base[0] == '/' ? base : "/tmp") + "/prewarm-test.XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace prewarm::os
