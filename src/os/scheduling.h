// SPDX-License-Identifier: MIT
//
// Background work: processes that are made ahead of time must not keep those waiting that are
// wanted now. As a batch task with a long slice a process doesn't preempt who wakes it, and is
// preempted by whoever wakes up with a shorter one (EEVDF; before Linux 6.12 the slice has no
// meaning here, and the policy alone does most of it). A lower priority would do the same, but
// nobody without privileges gets the old one back.
// Freestanding: the agent uses it, and a child that shares the shell's memory.
#pragma once

#include <cstdint>

#include "os/raw_syscall.h"

namespace prewarm::os {

// struct sched_attr (sched_setattr(2)), which no header of glibc 2.36 has.
struct Scheduling {
  std::uint32_t size = sizeof(Scheduling);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  // ns; under the fair policies the slice, 0 for the system's default
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
inline constexpr std::uint32_t kUsualPolicy = 0;  // SCHED_OTHER
inline constexpr std::uint32_t kBatchPolicy = 3;  // SCHED_BATCH

inline bool get_scheduling(Scheduling& s) {
  return raw_syscall(SYS_sched_getattr, 0, arg(&s), sizeof s, 0) == 0;
}

inline bool set_scheduling(Scheduling& s) {
  s.size = sizeof s;
  return raw_syscall(SYS_sched_setattr, 0, arg(&s), 0) == 0;
}

// In a loop that waits for another processor.
inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// For the calling process, if it is scheduled as usual.
inline void work_in_background() {
  constexpr std::uint64_t kLongestSlice = 100000000;
  Scheduling s;
  if (!get_scheduling(s) || s.policy != kUsualPolicy) return;
  s.policy = kBatchPolicy;
  if (s.runtime != 0) s.runtime = kLongestSlice;
  set_scheduling(s);
}

}  // namespace prewarm::os
