// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "cold/backend.h"
#include "cold/blocks.h"
#include "cold/dumpable.h"
#include "cold/signals_blocked.h"
#include "cold/task.h"
#include "os/clock.h"
#include "os/raw_syscall.h"

namespace prewarm::cold {
namespace {

using os::arg;
using os::raw_syscall;

// What this kernel, or a sandbox, has refused. Found out once; at worst by several threads.
struct Lacks {
  std::atomic<bool> clone3{false};
  std::atomic<bool> clear_handlers{false};
} lacks;

struct Wanted {
  std::uint64_t flags;  // without what only clone3 has
  int exit_signal;
  int cgroup;
};

long try_clone3(const Wanted& wanted, bool clears_handlers, Chain& chain, const Block& block,
                int& pidfd) {
  chain.reset_handlers = !clears_handlers;
  clone_args a{};
  a.flags = wanted.flags | (clears_handlers ? CLONE_CLEAR_SIGHAND : 0);
  a.pidfd = static_cast<std::uint64_t>(arg(&pidfd));
  a.child_tid = static_cast<std::uint64_t>(arg(&chain.alive));
  a.exit_signal = static_cast<std::uint64_t>(wanted.exit_signal);
  a.stack = static_cast<std::uint64_t>(arg(block.stack));
  a.stack_size = block.stack_size;
  std::size_t size = CLONE_ARGS_SIZE_VER0;
  if (wanted.cgroup >= 0) {
    a.flags |= CLONE_INTO_CGROUP;
    a.cgroup = static_cast<std::uint64_t>(wanted.cgroup);
    size = CLONE_ARGS_SIZE_VER2;
  }
  return clone3_task(a, size, chain);
}

// CLONE_CLEAR_SIGHAND is of Linux 5.5, CLONE_INTO_CGROUP of 5.7.
long with_clone3(const Wanted& wanted, Chain& chain, const Block& block, int& pidfd) {
  const bool clears = !lacks.clear_handlers.load(std::memory_order_relaxed);
  long r = try_clone3(wanted, clears, chain, block, pidfd);
  if (r == -EINVAL && clears) {
    r = try_clone3(wanted, false, chain, block, pidfd);
    if (r > 0) lacks.clear_handlers.store(true, std::memory_order_relaxed);
  }
  return r == -E2BIG && wanted.cgroup >= 0 ? -EOPNOTSUPP : r;
}

// clone3 and, where it is missing, clone. A sandbox says ENOSYS or EPERM for a call that it doesn't
// know; EPERM has other reasons, too, so then clone decides.
long make_task(const Wanted& wanted, Chain& chain, const Block& block, int& pidfd) {
  if (!lacks.clone3.load(std::memory_order_relaxed)) {
    const long r = with_clone3(wanted, chain, block, pidfd);
    if (r != -ENOSYS && r != -EPERM) return r;
  }
  constexpr std::uint64_t kClone3Only = 0x80;  // CLONE_NEWTIME: it lies where clone has the signal
  if (wanted.cgroup >= 0 || (wanted.flags & kClone3Only) != 0) return -EOPNOTSUPP;
  chain.reset_handlers = true;
  const std::uint64_t flags = wanted.flags | static_cast<unsigned>(wanted.exit_signal);
  const long r = clone_task(flags, block.stack + block.stack_size, &pidfd, &chain.alive, chain);
  if (r > 0) lacks.clone3.store(true, std::memory_order_relaxed);
  return r;
}

constexpr unsigned kPfExiting = 0x4;      // PF_* of the kernel's <linux/sched.h>, as they appear in
constexpr unsigned kPfForkNoExec = 0x40;  // field 9 of /proc/PID/stat

// In the unit of field 22 of /proc/PID/stat.
std::uint64_t ticks_since_boot() {
  const std::int64_t ns = os::now_ns(CLOCK_BOOTTIME);
  const std::int64_t ticks = ::sysconf(_SC_CLK_TCK);
  // Seconds by themselves: in ns the product would overflow after some years.
  return static_cast<std::uint64_t>(ns / os::kNsPerSecond * ticks +
                                    ns % os::kNsPerSecond * ticks / os::kNsPerSecond);
}

struct TaskStat {
  unsigned flags = 0;
  std::uint64_t start = 0;  // ticks since boot
};

// All zero if it can't be read.
TaskStat read_stat(pid_t pid) {
  char path[32] = "/proc/";
  char* end = path + std::strlen(path);
  char digits[12];
  int n = 0;
  for (int rest = pid; rest > 0; rest /= 10) digits[n++] = static_cast<char>('0' + rest % 10);
  while (n > 0) *end++ = digits[--n];
  std::memcpy(end, "/stat", 6);
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return {};
  char text[512];
  const ssize_t size = ::read(file.get(), text, sizeof text - 1);
  if (size <= 0) return {};
  text[size] = '\0';
  // The second field is the program's name, which may have anything in it.
  const char* at = std::strrchr(text, ')');
  TaskStat stat;
  for (int field = 2; at != nullptr && field < 22; ++field) {
    at = std::strchr(at + 1, ' ');
    if (field == 8 && at != nullptr) {
      stat.flags = static_cast<unsigned>(std::strtoul(at, nullptr, 10));
    }
  }
  if (at != nullptr) stat.start = std::strtoull(at, nullptr, 10);
  return stat;
}

}  // namespace

bool has_executed(pid_t child, std::uint64_t made) {
  for (;;) {
    // The kernel moves no child to another process group that has executed a program: EACCES. There
    // is no such group, so nothing happens otherwise. (EPERM comes first for a child in another
    // session.)
    constexpr pid_t kNoGroup = 0x7fffffff;
    const long r = raw_syscall(SYS_setpgid, child, kNoGroup);
    if (r == -EACCES) return true;
    if (r == -ESRCH) return true;  // somebody else has waited for it; there is no more to know
    const TaskStat stat = read_stat(child);
    // The same if its number belongs to a later child already.
    if (stat.start > made) return true;
    if ((stat.flags & kPfForkNoExec) == 0) return true;
    if ((stat.flags & kPfExiting) != 0) return false;
    // In the middle of its exec: the old memory is gone, the mark isn't set.
    ::sched_yield();
  }
}

Started start_task(Chain& chain, const Block& block, Backend backend) {
  const Operation& clone = chain.operations[0].what;
  Wanted wanted{
      .flags = clone.value | CLONE_CHILD_CLEARTID, .exit_signal = clone.other, .cgroup = clone.fd};
  chain.shares_memory = backend != Backend::fork;
  if (chain.shares_memory) wanted.flags |= CLONE_VM;
  if (backend == Backend::vfork) wanted.flags |= CLONE_VFORK;
  const bool wants_pidfd = (clone.more & kWantsPidfd) != 0;
  if (wants_pidfd) wanted.flags |= CLONE_PIDFD;
  const bool guarded = chain.changes_identity && chain.shares_memory;
  if (guarded) identity_begins();

  chain.parent = static_cast<pid_t>(raw_syscall(SYS_getpid));
  chain.parent_task = static_cast<pid_t>(raw_syscall(SYS_gettid));
  chain.alive.store(1);
  int pidfd = -1;
  long r = 0;
  {
    const SignalsBlocked blocked;  // no handler may run in a task that shares the memory
    r = make_task(wanted, chain, block, pidfd);
  }
  if (r < 0) {
    if (guarded) identity_ends();
    return {static_cast<pid_t>(r), Fd(), false};
  }
  const auto pid = static_cast<pid_t>(r);
  chain.made = ticks_since_boot();
  chain.pid.store(pid);
  // Before Linux 5.2 clone doesn't know CLONE_PIDFD, and ignores it.
  if (wants_pidfd && pidfd < 0) {
    pidfd = static_cast<int>(raw_syscall(SYS_pidfd_open, pid, 0));
  }
  return {pid, Fd(pidfd < 0 ? -1 : pidfd), true};
}

void settle_task(Chain& chain) {
  if (chain.changes_identity && chain.shares_memory) identity_ends();
  if ((chain.gate.load() & kExecuting) == 0) return;
  if (has_executed(chain.pid.load(), chain.made)) chain.operations[chain.at].result = 0;
}

}  // namespace prewarm::cold
