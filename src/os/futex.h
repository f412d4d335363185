// SPDX-License-Identifier: MIT
//
// Sleeping on a word of memory and waking who sleeps, without the C library. No word counts as
// private to the process: owner and parked processes share theirs, and the kernel wakes some of the
// cold rung's itself, as shared ones. For several words, or until a point in time: cold/futex.h.
#pragma once

#include <limits.h>
#include <linux/futex.h>

#include <atomic>
#include <cstdint>

#include "os/clock.h"
#include "os/raw_syscall.h"

namespace prewarm::os {

// Sleeps while `word` is `expected` and nobody wakes it. 0 (woken, or false alarm) or -errno:
// -EAGAIN: it was something else; -EINTR: a signal handler ran.
inline long futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  return raw_syscall(SYS_futex, arg(&word), FUTEX_WAIT, expected);
}

// The same, at most `limit_ns` long; then -ETIMEDOUT.
inline long futex_wait_for(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                           std::int64_t limit_ns) {
  const timespec limit = timespec_of(limit_ns);
  return raw_syscall(SYS_futex, arg(&word), FUTEX_WAIT, expected, arg(&limit));
}

inline void futex_wake_all(std::atomic<std::uint32_t>& word) {
  raw_syscall(SYS_futex, arg(&word), FUTEX_WAKE, INT_MAX);
}

}  // namespace prewarm::os
