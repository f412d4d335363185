// SPDX-License-Identifier: MIT
#include "cold/executor.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/resource.h>

#include <cerrno>

#include "cold/executor_libc.h"
#include "os/futex.h"
#include "os/raw_syscall.h"

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446  // the same for all processors
#endif

namespace prewarm::cold {
namespace {

using os::arg;
using os::raw_syscall;

constexpr std::uint64_t kAllSignals = ~std::uint64_t{0};
constexpr int kSignals = 64;
constexpr std::uint32_t kFutexWaiters = 0x80000000;

// The kernel's struct sigaction, which isn't libc's.
struct SignalAction {
  std::uint64_t handler;  // 0 default, 1 ignored
  std::uint64_t flags;
  std::uint64_t restorer;
  std::uint64_t mask;
};
constexpr std::uint64_t kDefault = 0;
constexpr std::uint64_t kIgnored = 1;

long set_signal(int signal, std::uint64_t handler) {
  const SignalAction action{handler, 0, 0, 0};
  return raw_syscall(SYS_rt_sigaction, signal, arg(&action), 0, sizeof action.mask);
}

long set_signals(std::uint64_t signals, std::uint64_t handler) {
  for (int signal = 1; signal <= kSignals; ++signal) {
    if ((signals >> (signal - 1) & 1) == 0) continue;
    // These two are always at their default, and can't be set even to that.
    if (handler == kDefault && (signal == SIGKILL || signal == SIGSTOP)) continue;
    if (const long r = set_signal(signal, handler); r < 0) return r;
  }
  return 0;
}

void set_mask(std::uint64_t mask) {
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, arg(&mask), 0, sizeof mask);
}

// What clone3 does with CLONE_CLEAR_SIGHAND.
void reset_handlers() {
  for (int signal = 1; signal <= kSignals; ++signal) {
    SignalAction action;
    if (raw_syscall(SYS_rt_sigaction, signal, 0, arg(&action), sizeof action.mask) != 0) continue;
    if (action.handler != kDefault && action.handler != kIgnored) set_signal(signal, kDefault);
  }
}

// The death signal is sent when the thread that made this task ends, so a parent that ended before
// it was asked for is found only by looking.
long death_signal(const Chain& chain, int signal) {
  if (const long r = raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, signal); r < 0) return r;
  const long parent = raw_syscall(SYS_getppid);
  if (parent == 0) return 0;  // outside of a new pid namespace: there is no way to tell
  if (parent != chain.parent) return -ESRCH;
  const long r = raw_syscall(SYS_tgkill, chain.parent, chain.parent_task, 0);
  return r == -ESRCH ? r : 0;
}

long drop_terminal() {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, arg("/dev/tty"), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return fd == -ENXIO || fd == -ENOENT ? 0 : fd;
  const long r = raw_syscall(SYS_ioctl, fd, TIOCNOTTY);
  raw_syscall(SYS_close, fd);
  return r;
}

long foreground(int fd) {
  // All signals are blocked, so SIGTTOU neither stops this task nor fails the call.
  const int group = static_cast<int>(raw_syscall(SYS_getpgid, 0));
  return raw_syscall(SYS_ioctl, fd, TIOCSPGRP, arg(&group));
}

void before_identity(const Chain& chain) {
  if (chain.keeps_capabilities) raw_syscall(SYS_prctl, PR_SET_KEEPCAPS, 1);
}

long reset_ids() {
  const long group = raw_syscall(SYS_getgid);
  if (const long r = raw_syscall(SYS_setresgid, -1, group, -1); r < 0) return r;
  return raw_syscall(SYS_setresuid, -1, raw_syscall(SYS_getuid), -1);
}

long ambient_capability(int capability) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  if (const long r = raw_syscall(SYS_capget, arg(&header), arg(&sets)); r < 0) return r;
  sets[capability / 32].inheritable |= 1U << capability % 32;
  if (const long r = raw_syscall(SYS_capset, arg(&header), arg(&sets)); r < 0) return r;
  return raw_syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability);
}

long id_maps(const Operation& o) {
  constexpr char kDeny[] = "deny";
  // Kernels before 3.19 have no such file.
  long r = executor::write_file(AT_FDCWD, "/proc/self/setgroups", kDeny, sizeof kDeny - 1);
  if (r < 0 && r != -ENOENT) return r;
  if (o.data != nullptr) {
    const auto* map = static_cast<const char*>(o.data);
    r = executor::write_file(AT_FDCWD, "/proc/self/uid_map", map, o.size);
    if (r < 0) return r;
  }
  if (o.extra == nullptr) return 0;
  const auto* map = static_cast<const char*>(o.extra);
  return executor::write_file(AT_FDCWD, "/proc/self/gid_map", map, o.value);
}

long seccomp(const Operation& o) {
  const auto flags = static_cast<long>(o.value);
  const long r = raw_syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, arg(o.data));
  if (r != -ENOSYS || flags != 0) return r;
  return raw_syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, arg(o.data));
}

long change_root(const Operation& o) {
  if (const long r = raw_syscall(SYS_chroot, arg(o.data)); r < 0) return r;
  return raw_syscall(SYS_chdir, arg("/"));
}

// Everything but exec. A table of contents of what a task can do, so it is as long as that.
long perform(Chain& chain, const Operation& o) {
  using enum OperationCode;
  const auto value = static_cast<long>(o.value);
  switch (o.code) {
    case clone:
    case exec:
    case exec_fd:
      return -EINVAL;  // not here
    case open:
      return executor::open_at(o.fd, static_cast<const char*>(o.data), o.other, o.value);
    case dup:
      return executor::duplicate(o.fd, o.other);
    case close: {
      const long r = raw_syscall(SYS_close, o.fd);
      return r == -EBADF ? 0 : r;
    }
    case close_range:
      return executor::close_range(static_cast<unsigned>(o.value), static_cast<unsigned>(o.more));
    case keep_only:
      return executor::keep_only(static_cast<Placement*>(const_cast<void*>(o.data)), o.size);
    case chdir:
      return raw_syscall(SYS_chdir, arg(o.data));
    case fchdir:
      return raw_syscall(SYS_fchdir, o.fd);
    case chroot:
      return change_root(o);
    case umask:
      return raw_syscall(SYS_umask, value);
    case setsid:
      return raw_syscall(SYS_setsid);
    case setpgid:
      return raw_syscall(SYS_setpgid, 0, o.fd);
    case take_terminal:
      return raw_syscall(SYS_ioctl, o.fd, TIOCSCTTY, 0);
    case drop_terminal:
      return cold::drop_terminal();
    case foreground:
      return cold::foreground(o.fd);
    case signal_mask:
      chain.signal_mask = o.value;
      return 0;
    case signal_default:
      return set_signals(o.value, kDefault);
    case signal_ignore:
      return set_signals(o.value, kIgnored);
    case death_signal:
      return cold::death_signal(chain, o.fd);
    case user:
      before_identity(chain);
      return raw_syscall(SYS_setresuid, o.fd, o.other, static_cast<int>(o.value));
    case group:
      before_identity(chain);
      return raw_syscall(SYS_setresgid, o.fd, o.other, static_cast<int>(o.value));
    case groups:
      return raw_syscall(SYS_setgroups, static_cast<long>(o.size), arg(o.data));
    case reset_ids:
      before_identity(chain);
      return cold::reset_ids();
    case ambient_capability:
      return cold::ambient_capability(o.fd);
    case no_new_privileges:
      return raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1);
    case id_maps:
      return cold::id_maps(o);
    case limit: {
      const rlimit64 wanted{o.value, o.more};
      return raw_syscall(SYS_prlimit64, 0, o.fd, arg(&wanted));
    }
    case nice:
      return raw_syscall(SYS_setpriority, PRIO_PROCESS, 0, o.fd);
    case scheduler: {
      const int priority = o.other;  // struct sched_param is nothing else
      return raw_syscall(SYS_sched_setscheduler, 0, o.fd, arg(&priority));
    }
    case affinity:
      return raw_syscall(SYS_sched_setaffinity, 0, static_cast<long>(o.size), arg(o.data));
    case oom_score:
      return executor::write_file(AT_FDCWD, "/proc/self/oom_score_adj",
                                  static_cast<const char*>(o.data), o.size);
    case cgroup:
      return executor::write_file(o.fd, "cgroup.procs", "0", 1);
    case unshare:
      return raw_syscall(SYS_unshare, o.fd);
    case seccomp:
      return cold::seccomp(o);
    case landlock:
      return raw_syscall(SYS_landlock_restrict_self, o.fd, 0);
    case trace_me:
      return raw_syscall(SYS_ptrace, 0 /* PTRACE_TRACEME */);
  }
  return libc::perform(chain, o);  // of a chain that posix_spawn has made
}

// Returns only if it fails: -errno.
long execute(const Chain& chain, const Operation& o) {
  set_mask(chain.signal_mask);
  const auto environment = static_cast<long>(o.more);
  const long r =
      o.code == OperationCode::exec
          ? raw_syscall(SYS_execve, arg(o.data), arg(o.extra), environment)
          : raw_syscall(SYS_execveat, o.fd, arg(""), arg(o.extra), environment, AT_EMPTY_PATH);
  set_mask(kAllSignals);
  return r;
}

// Whether the row goes on.
bool run(Chain& chain, PlannedOperation& planned) {
  const Operation& o = planned.what;
  if (!is_exec(o.code)) {
    const long r = perform(chain, o);
    planned.result = r < 0 ? static_cast<std::int32_t>(r) : 0;
    return r >= 0 || o.hard_linked;
  }
  // If it is cancelled, kExecuting must not appear: settling would take it for an exec.
  std::uint32_t open = 0;
  if (!chain.gate.compare_exchange_strong(open, kExecuting)) return false;
  planned.result = static_cast<std::int32_t>(execute(chain, o));
  chain.gate.fetch_and(~kExecuting);
  return !o.hard_linked;
}

void tell(Chain& chain) {
  chain.told.store(1, std::memory_order_release);
  os::futex_wake_all(chain.told);
}

[[noreturn]] void end(Chain& chain) {
  if (chain.awaited != 0) tell(chain);
  // A filter of the chain may forge getpid's result, too: -1 would mean everybody.
  const long self = raw_syscall(SYS_getpid);
  if (self > 0) raw_syscall(SYS_kill, self, SIGKILL);
  // Still here: the first process of a pid namespace doesn't hear its own signals, and a seccomp
  // filter of the chain may forbid anything.
  raw_syscall(SYS_exit_group, 128 + SIGKILL);
  raw_syscall(SYS_exit, 128 + SIGKILL);
  __builtin_trap();
}

// In a copy of the caller there is nobody for CLONE_CHILD_CLEARTID to tell: the kernel does that
// only if the memory has another user. A robust futex, which a task holds when it execs or ends, is
// let go always, and can lie in memory that parent and child share.
struct RobustList {
  RobustList* next;
  long offset;  // of the futex, from each entry
  RobustList* pending;
};

}  // namespace

long executor::execute(const Chain& chain, const Operation& o) { return cold::execute(chain, o); }

[[noreturn]] void run_chain(Chain& chain) {
  RobustList robust;
  if (!chain.shares_memory) {
    auto* word = reinterpret_cast<RobustList*>(&chain.alive);
    robust = {&robust, 0, word};
    const auto id = static_cast<std::uint32_t>(raw_syscall(SYS_gettid));
    chain.alive.store(id | kFutexWaiters);
    raw_syscall(SYS_set_robust_list, arg(&robust), sizeof robust);
  }
  if (chain.reset_handlers) reset_handlers();
  for (std::uint32_t i = 1; i < chain.count; ++i) {
    chain.at = i;
    if ((chain.gate.load() & kCancelled) != 0) end(chain);
    if (!run(chain, chain.operations[i])) end(chain);
    if (i == chain.awaited) tell(chain);
  }
  end(chain);
}

}  // namespace prewarm::cold
