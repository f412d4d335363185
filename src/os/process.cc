// SPDX-License-Identifier: MIT
#include "os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace prewarm::os {
namespace {

// linux/pidfd.h of Linux 6.15, which is newer than our headers.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t control_group;
  std::uint32_t ids[11];
  std::int32_t exit_code;  // a wait status
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t kInfoExit = 1 << 3;
constexpr unsigned long kGetInfo = _IOWR(0xff, 11, PidfdInfo);

// The last field of /proc/PID/stat of a zombie (proc(5)).
std::optional<int> zombie_status(pid_t pid) {
  char path[32];
  char text[1024];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  const ssize_t n = file.valid() ? ::read(file.get(), text, sizeof text - 1) : -1;
  if (n <= 0) return {};
  text[n] = '\0';
  const char* state = std::strrchr(text, ')');
  const char* last = std::strrchr(text, ' ');
  if (state == nullptr || state[1] != ' ' || state[2] != 'Z') return {};
  return std::atoi(last + 1);
}

}  // namespace

Fd watch(pid_t pid) { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

bool ended(const Fd& watched) {
  pollfd p{watched.get(), POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

bool ended(pid_t pid) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
    return info.si_pid == pid;
  }
  const Fd watched = watch(pid);
  if (watched.valid()) return ended(watched);
  // There may be no descriptor left for it. Then a zombie passes for alive.
  return ::kill(pid, 0) != 0 && errno == ESRCH;
}

std::optional<int> ended_status(const Fd& watched, pid_t pid) {
  const auto status = zombie_status(pid);
  // If it is still there, then the pid was its own.
  if (status && ::syscall(SYS_pidfd_send_signal, watched.get(), 0, nullptr, 0) == 0) return status;
  PidfdInfo info{};
  info.mask = kInfoExit;
  if (::ioctl(watched.get(), kGetInfo, &info) != 0 || (info.mask & kInfoExit) == 0) return {};
  return info.exit_code;
}

}  // namespace prewarm::os
