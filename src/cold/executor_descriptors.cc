// SPDX-License-Identifier: MIT
//
// The executor's operations on descriptors. Restrictions: executor.h.
#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>

#include "cold/executor.h"
#include "os/raw_syscall.h"

namespace prewarm::cold::executor {
namespace {

using os::arg;
using os::raw_syscall;

// struct linux_dirent64 (getdents64(2)) begins like this.
struct DirectoryEntry {
  std::uint64_t inode;
  std::int64_t next;
  std::uint16_t size;
  std::uint8_t type;
  char name[1];
};

// A name in /proc/self/fd as a number; -1 for "." and "..".
long as_number(const char* name) {
  long number = 0;
  for (const char* c = name; *c != '\0'; ++c) {
    if (*c < '0' || *c > '9') return -1;
    number = number * 10 + (*c - '0');
  }
  return number;
}

// One pass over /proc/self/fd; how many were closed, or -errno. What is closed while the directory
// is read may hide what stands behind it, so passes are made until one finds nothing.
long close_listed(long directory, unsigned first, unsigned last) {
  if (const long r = raw_syscall(SYS_lseek, directory, 0, 0 /* SEEK_SET */); r < 0) return r;
  long closed = 0;
  alignas(DirectoryEntry) char buffer[2048];
  for (;;) {
    const long bytes = raw_syscall(SYS_getdents64, directory, arg(&buffer), sizeof buffer);
    if (bytes <= 0) return bytes < 0 ? bytes : closed;
    for (long at = 0; at < bytes;) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      at += entry->size;
      const long fd = as_number(entry->name);
      if (fd < static_cast<long>(first) || fd > static_cast<long>(last) || fd == directory) {
        continue;
      }
      raw_syscall(SYS_close, fd);
      ++closed;
    }
  }
}

// For kernels before 5.9, and sandboxes that don't know close_range.
long close_one_by_one(unsigned first, unsigned last) {
  const long directory =
      raw_syscall(SYS_openat, AT_FDCWD, arg("/proc/self/fd"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    long closed;
    do {
      closed = close_listed(directory, first, last);
    } while (closed > 0);
    raw_syscall(SYS_close, directory);
    if (closed == 0) return 0;
  }
  // No /proc, or no descriptor left for it. Numbers are below the limit, unless that was lowered.
  rlimit64 limit{};
  if (const long r = raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, arg(&limit)); r < 0) return r;
  for (std::uint64_t fd = first; fd <= last && fd < limit.rlim_cur; ++fd) {
    raw_syscall(SYS_close, static_cast<long>(fd));
  }
  return 0;
}

// `from` becomes `to`, another number, and is closed.
long move(long from, int to, int flags) {
  const long r = raw_syscall(SYS_dup3, from, to, flags & O_CLOEXEC);
  raw_syscall(SYS_close, from);
  return r < 0 ? r : 0;
}

}  // namespace

long open_at(int fd, const char* path, int flags, std::uint64_t mode) {
  const long opened = raw_syscall(SYS_openat, AT_FDCWD, arg(path), flags, static_cast<long>(mode));
  if (opened < 0 || opened == fd) return opened < 0 ? opened : 0;
  return move(opened, fd, flags);
}

long duplicate(int from, int to) {
  if (from != to) return raw_syscall(SYS_dup3, from, to, 0);
  return raw_syscall(SYS_fcntl, from, F_SETFD, 0);
}

long close_range(unsigned first, unsigned last) {
  const long r = raw_syscall(SYS_close_range, first, last, 0);
  return r == -ENOSYS || r == -EPERM ? close_one_by_one(first, last) : r;
}

long keep_only(Placement* placements, std::size_t count) {
  // Sources that stand where something else is to be get out of the way, to above all targets.
  for (std::size_t i = 0; i < count; ++i) {
    Placement& p = placements[i];
    if (!p.in_the_way) continue;
    const int above = placements[count - 1].target + 1;
    const long moved = raw_syscall(SYS_fcntl, p.source, F_DUPFD_CLOEXEC, above);
    if (moved < 0) return moved;
    p.source = static_cast<int>(moved);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (const long r = duplicate(placements[i].source, placements[i].target); r < 0) return r;
  }
  // And the gaps between targets are closed, what has been moved included.
  unsigned next = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto target = static_cast<unsigned>(placements[i].target);
    if (target > next) {
      if (const long r = close_range(next, target - 1); r < 0) return r;
    }
    next = target + 1;
  }
  return close_range(next, ~0U);
}

long write_file(int directory, const char* path, const char* bytes, std::size_t size) {
  const long fd = raw_syscall(SYS_openat, directory, arg(path), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const long r = raw_syscall(SYS_write, fd, arg(bytes), static_cast<long>(size));
  raw_syscall(SYS_close, fd);
  if (r < 0) return r;
  return r == static_cast<long>(size) ? 0 : -EIO;
}

}  // namespace prewarm::cold::executor
