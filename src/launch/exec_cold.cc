// SPDX-License-Identifier: MIT
#include "launch/exec_cold.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <iterator>

namespace prewarm::launch {
namespace {

// Pointers to `count` strings, null-terminated, in pages of their own; null if there are none.
char** pointers(char* strings, std::uint32_t count) {
  void* at = ::mmap(nullptr, (std::size_t{count} + 1) * sizeof(char*), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  char** out = static_cast<char**>(at);
  for (std::uint32_t i = 0; i < count; ++i) {
    out[i] = strings;
    strings += std::strlen(strings) + 1;
  }
  return out;
}

bool is_target(const RequestView& request, int fd) {
  for (std::uint32_t i = 0; i < request.header->fd_count; ++i) {
    if (request.targets[i] == fd) return true;
  }
  return false;
}

// A copy of `fd` at a number that is nobody's target.
int copy_aside(const RequestView& request, int fd) {
  for (int from = 3;;) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, from);
    if (copy < 0 || !is_target(request, copy)) return copy;
    ::close(copy);
    from = copy + 1;
  }
}

void place(const RequestView& request, std::span<const int> descriptors) {
  const std::uint32_t n = request.header->fd_count;
  int moved[kMaxDescriptors];
  for (std::uint32_t i = 0; i < n; ++i) moved[i] = copy_aside(request, descriptors[i]);
  // Whatever else was inherited isn't the program's.
  unsigned next = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    const auto target = static_cast<unsigned>(request.targets[i]);
    if (target > next) ::close_range(next, target - 1, CLOSE_RANGE_CLOEXEC);
    next = target + 1;
  }
  ::close_range(next, ~0U, CLOSE_RANGE_CLOEXEC);
  for (std::uint32_t i = 0; i < n; ++i) {
    if (moved[i] < 0 || ::dup2(moved[i], request.targets[i]) < 0) ::_exit(127);
  }
}

void set_signals(const RequestHeader& h) {
  for (int sig = 1; sig <= 64; ++sig) {
    const bool ignored = (h.signal_ignored >> (sig - 1) & 1) != 0;
    ::signal(sig, ignored ? SIG_IGN : SIG_DFL);
  }
  sigset_t mask;
  sigemptyset(&mask);
  std::memcpy(&mask, &h.signal_mask, sizeof h.signal_mask);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

// bash's message. strerror may have to load its translations, and dprintf takes a buffer.
void report_failed_open(const char* prefix, const char* path, int error) {
  const char* text = ::strerrordesc_np(error);
  const char* const parts[] = {prefix, path, ": ", text == nullptr ? "Unknown error" : text, "\n"};
  iovec pieces[std::size(parts)];
  for (std::size_t i = 0; i < std::size(parts); ++i) {
    pieces[i] = {const_cast<char*>(parts[i]), std::strlen(parts[i])};
  }
  if (::writev(2, pieces, std::size(parts)) < 0) return;  // nobody to tell
}

void run_operations(const RequestView& request) {
  for (std::uint32_t i = 0; i < request.header->op_count; ++i) {
    const Operation& op = request.operations[i];
    if (op.kind == OperationKind::close) {
      ::close(op.fd);
    } else if (op.kind == OperationKind::dup) {
      if (op.fd != op.other && ::dup2(op.other, op.fd) < 0) ::_exit(127);
    } else {
      const char* path = request.text + op.text;
      const int fd = ::open(path, op.flags, op.mode);
      if (fd < 0) {
        report_failed_open(request.text + op.error_prefix, path, errno);
        ::_exit(1);
      }
      if (fd != op.fd) {
        ::dup2(fd, op.fd);
        ::close(fd);
      }
    }
  }
}

// Nobody may change to it any more, perhaps, but we are there.
bool is_current_directory(int fd) {
  struct stat here;
  struct stat there;
  return ::fstatat(AT_FDCWD, "", &here, AT_EMPTY_PATH) == 0 && ::fstat(fd, &there) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

}  // namespace

void exec_cold(const char* path, const RequestView& request, std::span<const int> descriptors) {
  const RequestHeader& h = *request.header;
  const int directory = descriptors[h.fd_count];
  if (::fchdir(directory) != 0 && !is_current_directory(directory)) ::_exit(127);
  place(request, descriptors);
  ::umask(h.umask);
  if ((h.flags & kRequestHasPgrp) != 0) ::setpgid(0, h.pgrp);
  set_signals(h);
  run_operations(request);
  char** argv = pointers(request.argv, h.argc);
  char** env = pointers(request.env, h.envc);
  if (argv == nullptr || env == nullptr) ::_exit(126);
  ::execve(path, argv, env);
  ::_exit(errno == ENOENT ? 127 : 126);
}

}  // namespace prewarm::launch
