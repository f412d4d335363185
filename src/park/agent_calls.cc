// SPDX-License-Identifier: MIT
//
// Which system calls constructors may make while their program is being parked: those that change
// nothing outside the process, and whose answer is the same for every launch by the owner.
// Everything else isn't made; the program is refused. Restrictions: see agent.h.
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "park/agent.h"

namespace prewarm::agent {
namespace {

using launch::Reason;

// A descriptor of the constructor's own making: neither one that the program was started with,
// which is /dev/null now, nor the agent's.
bool is_own(long fd) { return fd > 2 && fd < kControlFd; }

// A name that leads everybody to the same file.
bool is_common(const char* path) {
  constexpr const char* kDevices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"};
  constexpr const char* kProc[] = {"/proc/sys/",    "/proc/filesystems", "/proc/cpuinfo",
                                   "/proc/meminfo", "/proc/version",     "/proc/self/exe"};
  if (path[0] != '/') return false;
  for (const char* at = path; *at != '\0'; ++at) {
    if (starts_with(at, "/..")) return false;
  }
  const bool device = starts_with(path, "/dev/");
  const bool process = starts_with(path, "/proc/");
  for (const char* name : kDevices) {
    if (device && starts_with(path, name) && path[length(name)] == '\0') return true;
  }
  for (const char* name : kProc) {
    if (process && starts_with(path, name)) return true;
  }
  return !device && !process;
}

bool is_common_at(long directory, long path, bool may_be_empty) {
  const char* name = reinterpret_cast<const char*>(path);
  // From a directory that was opened under a common name.
  if (is_own(static_cast<int>(directory)) && (may_be_empty || name[0] != '\0')) {
    return name[0] != '/' || is_common(name);
  }
  return is_common(name);
}

bool only_reads(long flags) {
  return (flags & (O_ACCMODE | O_CREAT | O_TRUNC | O_TMPFILE | O_PATH)) == (flags & O_DIRECTORY);
}

// Memory that clones would share among themselves.
bool is_shared_memory(const long (&a)[6]) {
  const bool writable = (a[2] & PROT_WRITE) != 0 || (a[3] & MAP_ANONYMOUS) != 0;
  return (a[3] & MAP_TYPE) != MAP_PRIVATE && writable;
}

bool reads_files(long number, const long (&a)[6]) {
  switch (number) {
    case SYS_open:
      return only_reads(a[1]) && is_common_at(AT_FDCWD, a[0], false);
    case SYS_openat:
      return only_reads(a[2]) && is_common_at(a[0], a[1], false);
    case SYS_access:
    case SYS_stat:
    case SYS_lstat:
    case SYS_statfs:
    case SYS_readlink:
      return is_common_at(AT_FDCWD, a[0], false);
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_readlinkat:
      return is_common_at(a[0], a[1], true);
    case SYS_read:
    case SYS_pread64:
    case SYS_lseek:
    case SYS_fstat:
    case SYS_fstatfs:
    case SYS_getdents64:
    case SYS_close:
      return is_own(a[0]);
    case SYS_fcntl:
      return is_own(a[0]) && (a[1] == F_GETFD || a[1] == F_SETFD || a[1] == F_GETFL);
    default:
      return false;
  }
}

bool arranges_memory(long number, const long (&a)[6]) {
  switch (number) {
    case SYS_mmap:
      return !is_shared_memory(a) &&
             ((a[3] & MAP_ANONYMOUS) != 0 || is_own(static_cast<int>(a[4])));
    case SYS_brk:
    case SYS_madvise:
    case SYS_mprotect:
    case SYS_mremap:
    case SYS_munmap:
      return true;
    default:
      return false;
  }
}

// What a launch has in common with all others, or what the owner compares before it.
bool asks_for_common(long number, const long (&a)[6]) {
  switch (number) {
    case SYS_getuid:
    case SYS_geteuid:
    case SYS_getgid:
    case SYS_getegid:
    case SYS_getgroups:
    case SYS_getrlimit:
    case SYS_sched_getaffinity:
    case SYS_sysinfo:
    case SYS_uname:
    // The vDSO tells the time, too, and can't be watched.
    case SYS_clock_getres:
    case SYS_clock_gettime:
    case SYS_gettimeofday:
    case SYS_time:
    case SYS_getrandom:
    case SYS_sched_yield:
      return true;
    // A shell can't change its capabilities, and what goes with them.
    case SYS_capget:
      return true;
    case SYS_prctl:
      return a[0] == PR_CAPBSET_READ || a[0] == PR_GET_SECUREBITS || a[0] == PR_GET_NO_NEW_PRIVS ||
             (a[0] == PR_CAP_AMBIENT && a[1] == PR_CAP_AMBIENT_IS_SET);
    case SYS_prlimit64:
      return a[0] == 0 && a[2] == 0;
    case SYS_futex:
      return (a[1] & FUTEX_CMD_MASK) == FUTEX_WAKE;
    default:
      return false;
  }
}

// Why a call that is not made isn't.
Reason reason_against(long number, const long (&a)[6]) {
  switch (number) {
    case SYS_dup:
    case SYS_dup2:
    case SYS_dup3:
      return Reason::opened_descriptors;
    case SYS_fcntl:
      return a[1] == F_DUPFD || a[1] == F_DUPFD_CLOEXEC ? Reason::opened_descriptors
                                                        : Reason::acts_early;
    case SYS_clone:
      return (a[0] & CLONE_THREAD) != 0 ? Reason::has_threads : Reason::acts_early;
    case SYS_rt_sigaction:
      // Signals of libc's own (32 and 33): it prepares for the first thread.
      return a[0] == 32 || a[0] == 33 ? Reason::has_threads : Reason::acts_early;
    default:
      return Reason::acts_early;
  }
}

}  // namespace

Reason judge_call(long number, const long (&arguments)[6]) {
  if (number == SYS_getpid || number == SYS_gettid) {
    // True of this process, and of no copy.
    state.may_clone = false;
    return Reason::none;
  }
  if (reads_files(number, arguments) || arranges_memory(number, arguments) ||
      asks_for_common(number, arguments)) {
    return Reason::none;
  }
  return reason_against(number, arguments);
}

}  // namespace prewarm::agent
