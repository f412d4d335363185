// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/attributes.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "bash/bash_api.h"

namespace prewarm::bash {
namespace {

constexpr int kSignals = 64;

std::uint64_t bit(int sig) { return std::uint64_t{1} << (sig - 1); }

os::Fd open_own(const char* path) { return os::Fd(::open(path, O_RDONLY | O_CLOEXEC)); }

void read_from(const os::Fd& file, char* buffer, std::size_t size) {
  std::memset(buffer, 0, size);
  if (file.valid() && ::pread(file.get(), buffer, size - 1, 0) < 0) buffer[0] = '?';
}

constexpr char kControlGroup[] = "/proc/self/cgroup";
constexpr char kOomScore[] = "/proc/self/oom_score_adj";

}  // namespace

void Inherited::snapshot(int floor) {
  control_group_ = os::move_above(open_own(kControlGroup), floor);
  oom_score_ = os::move_above(open_own(kOomScore), floor);
  of_ = ::getpid();
  std::memset(&values_, 0, sizeof values_);
  read(values_);
}

bool Inherited::unchanged() const {
  Values now;
  std::memset(&now, 0, sizeof now);
  read(now);
  return std::memcmp(&now, &values_, sizeof now) == 0;
}

void Inherited::read(Values& v) const {
  for (int i = 0; i < static_cast<int>(RLIM_NLIMITS); ++i) {
    ::getrlimit(static_cast<__rlimit_resource>(i), &v.limits[i]);
  }
  v.nice = ::getpriority(PRIO_PROCESS, 0);
  v.policy = ::sched_getscheduler(0);
  v.io_priority = static_cast<int>(::syscall(SYS_ioprio_get, 1, 0));
  v.group = ::getpgrp();
  ::syscall(SYS_sched_getaffinity, 0, sizeof v.affinity, v.affinity);
  if (of_ == ::getpid()) {
    read_from(control_group_, v.control_group, sizeof v.control_group);
    read_from(oom_score_, v.oom_score, sizeof v.oom_score);
  } else {
    read_from(open_own(kControlGroup), v.control_group, sizeof v.control_group);
    read_from(open_own(kOomScore), v.oom_score, sizeof v.oom_score);
  }
}

bool Inherited::limits_allow_parking() {
  const auto soft = [](__rlimit_resource r) {
    rlimit limit{};
    ::getrlimit(r, &limit);
    return limit.rlim_cur;
  };
  return soft(RLIMIT_AS) == RLIM_INFINITY && soft(RLIMIT_DATA) == RLIM_INFINITY &&
         soft(RLIMIT_FSIZE) == RLIM_INFINITY && soft(RLIMIT_CPU) == RLIM_INFINITY &&
         soft(RLIMIT_STACK) >= (1U << 20) && soft(RLIMIT_NOFILE) >= 512 &&
         soft(RLIMIT_NPROC) >= 1024;
}

std::uint64_t ignored_after_restore(std::uint64_t at_start) {
  std::uint64_t ignored = 0;
  for (int sig = 1; sig <= kSignals; ++sig) {
    bool is_ignored;
    if (signal_is_trapped(sig)) {
      is_ignored = signal_is_ignored(sig) != 0 || original_signals[sig] == SIG_IGN;
    } else if (signal_is_special(sig)) {
      is_ignored = original_signals[sig] == SIG_IGN;
    } else {
      is_ignored = (at_start & bit(sig)) != 0;
    }
    if (is_ignored) ignored |= bit(sig);
  }
  return ignored;
}

std::uint64_t ignored_now() {
  std::uint64_t ignored = 0;
  for (int sig = 1; sig <= kSignals; ++sig) {
    struct sigaction action;
    if (::sigaction(sig, nullptr, &action) == 0 && action.sa_handler == SIG_IGN)
      ignored |= bit(sig);
  }
  return ignored;
}

std::uint64_t mask_bits(const sigset_t& set) {
  std::uint64_t bits;
  std::memcpy(&bits, &set, sizeof bits);
  return bits;
}

mode_t current_umask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

}  // namespace prewarm::bash
