// SPDX-License-Identifier: MIT
#include "cold/wait_child.h"

#include <signal.h>
#include <sys/wait.h>

#include <cerrno>

#include "os/raw_syscall.h"

namespace prewarm::cold {
namespace {

int wait_status_of(const siginfo_t& info) {
  switch (info.si_code) {
    case CLD_EXITED:
      return W_EXITCODE(info.si_status, 0);
    case CLD_DUMPED:
      return info.si_status | WCOREFLAG;
    default:
      return info.si_status;
  }
}

// The C library's waitid doesn't hand out the usage that the kernel's has.
long wait_by(idtype_t type, int id, int flags, siginfo_t& info, rusage& usage) {
  long result = -EINTR;
  while (result == -EINTR) {
    result = os::raw_syscall(SYS_waitid, type, id, os::arg(&info), flags, os::arg(&usage));
  }
  return result;
}

}  // namespace

int wait_child(pid_t pid, const os::Fd& pidfd, bool block, ChildEnd& end) {
  siginfo_t info{};
  const int flags = block ? WEXITED : WEXITED | WNOHANG;
  long result = -EINVAL;
  if (pidfd.valid()) result = wait_by(P_PIDFD, pidfd.get(), flags, info, end.usage);
  // Linux 5.3 has pidfds, but doesn't wait by them.
  if (result == -EINVAL) result = wait_by(P_PID, pid, flags, info, end.usage);
  if (result < 0) return static_cast<int>(result);
  if (info.si_pid == 0) return 0;
  end.wait_status = wait_status_of(info);
  return 1;
}

}  // namespace prewarm::cold
