// SPDX-License-Identifier: MIT
#include "cold/futex.h"

#include <linux/futex.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "os/clock.h"
#include "os/raw_syscall.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449  // the same for all processors
#endif

namespace prewarm::cold {
namespace {

using os::arg;
using os::raw_syscall;

constexpr std::int64_t kMostPatience = 2'000'000;

int wait_one(const Expected& e, std::optional<std::int64_t> until) {
  const timespec limit = os::timespec_of(until.value_or(0));
  // FUTEX_WAIT_BITSET takes a point in time where FUTEX_WAIT takes a duration.
  return static_cast<int>(raw_syscall(SYS_futex, arg(e.word), FUTEX_WAIT_BITSET, e.value,
                                      until ? arg(&limit) : 0, 0, FUTEX_BITSET_MATCH_ANY));
}

int wait_several(std::span<const Expected> words, std::optional<std::int64_t> until) {
  futex_waitv row[kMostWords];
  for (std::size_t i = 0; i < words.size(); ++i) {
    row[i] = {words[i].value, static_cast<std::uint64_t>(arg(words[i].word)), FUTEX_32, 0};
  }
  const timespec limit = os::timespec_of(until.value_or(0));
  return static_cast<int>(raw_syscall(SYS_futex_waitv, arg(&row), static_cast<long>(words.size()),
                                      0, until ? arg(&limit) : 0, CLOCK_MONOTONIC));
}

// Set once by whoever finds out.
std::atomic<bool> waits_for_several{true};

}  // namespace

int wait_any(std::span<const Expected> words, std::optional<std::int64_t> until,
             std::int64_t& patience_ns) {
  int r = 0;
  if (words.size() == 1) {
    r = wait_one(words.front(), until);
  } else {
    bool masked = !waits_for_several.load(std::memory_order_relaxed);
    if (!masked) {
      r = wait_several(words, until);
      masked = r == -ENOSYS || r == -EPERM;
      if (masked) waits_for_several.store(false, std::memory_order_relaxed);
    }
    if (masked) {
      const std::int64_t soon = os::now_ns() + patience_ns;
      patience_ns = std::min(patience_ns * 2, kMostPatience);
      r = wait_one(words.front(), until ? std::min(*until, soon) : soon);
      if (r == -ETIMEDOUT && (!until || soon < *until)) r = 0;
    }
  }
  return r == -EINTR || r == -ETIMEDOUT ? r : 0;
}

}  // namespace prewarm::cold
