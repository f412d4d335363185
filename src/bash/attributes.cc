// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/attributes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "bash/bash_api.h"

namespace prewarm::bash {
namespace {

constexpr int kSignals = 64;

std::uint64_t bit(int sig) { return std::uint64_t{1} << (sig - 1); }

os::Fd open_own(const char* path) { return os::Fd(::open(path, O_RDONLY | O_CLOEXEC)); }

// Whether a file in /proc says `text`; one that can't be opened says nothing.
bool says(const os::Fd& file, const std::string& text) {
  if (!file.valid()) return text.empty();
  char part[1024];
  for (std::size_t at = 0;;) {
    const ssize_t n = ::pread(file.get(), part, sizeof part, static_cast<off_t>(at));
    if (n < 0) return false;
    const auto size = static_cast<std::size_t>(n);
    if (text.compare(at, size, part, size) != 0) return false;
    at += size;
    if (size < sizeof part) return at == text.size();
  }
}

std::string text_of(const os::Fd& file) {
  std::string text;
  char part[1024];
  ssize_t n = file.valid() ? ::pread(file.get(), part, sizeof part, 0) : 0;
  while (n > 0) {
    text.append(part, static_cast<std::size_t>(n));
    n = ::pread(file.get(), part, sizeof part, static_cast<off_t>(text.size()));
  }
  return text;
}

constexpr char kControlGroup[] = "/proc/self/cgroup";
constexpr char kOomScore[] = "/proc/self/oom_score_adj";

}  // namespace

bool Inherited::snapshot(int floor) {
  control_group_ = os::move_above(open_own(kControlGroup), floor);
  oom_score_ = os::move_above(open_own(kOomScore), floor);
  of_ = ::getpid();
  control_group_text_ = text_of(control_group_);
  oom_score_text_ = text_of(oom_score_);
  std::memset(&values_, 0, sizeof values_);
  read(values_);
  return control_group_.valid() && oom_score_.valid();
}

bool Inherited::unchanged() const {
  Values now;
  std::memset(&now, 0, sizeof now);
  read(now);
  if (std::memcmp(&now, &values_, sizeof now) != 0) return false;
  if (of_ == ::getpid()) {
    return says(control_group_, control_group_text_) && says(oom_score_, oom_score_text_);
  }
  return says(open_own(kControlGroup), control_group_text_) &&
         says(open_own(kOomScore), oom_score_text_);
}

bool Inherited::owns_descriptor(int fd) const {
  return fd == control_group_.get() || fd == oom_score_.get();
}

void Inherited::read(Values& v) {
  for (int i = 0; i < static_cast<int>(RLIM_NLIMITS); ++i) {
    ::getrlimit(static_cast<__rlimit_resource>(i), &v.limits[i]);
  }
  ::syscall(SYS_sched_getattr, 0, v.schedule, sizeof v.schedule, 0);
  v.io_priority = static_cast<int>(::syscall(SYS_ioprio_get, 1, 0));
  v.group = ::getpgrp();
  v.timer_slack = ::prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
  ::syscall(SYS_sched_getaffinity, 0, sizeof v.affinity, v.affinity);
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

}  // namespace prewarm::bash
