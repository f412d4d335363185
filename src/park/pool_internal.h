// SPDX-License-Identifier: MIT
//
// Small things that the parts of Pool's implementation share.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "park/table.h"

namespace prewarm::park {

inline constexpr unsigned kMostIdleClones = 4;

inline void wake(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

// Waits while `word` is `value`, at most `wait_ms`. True if it may have changed.
inline bool wait_while(std::atomic<std::uint32_t>& word, std::uint32_t value, int wait_ms) {
  const timespec limit{wait_ms / 1000, (wait_ms % 1000) * 1000000L};
  const long r = ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &limit, nullptr, 0);
  return r == 0 || errno != ETIMEDOUT;
}

inline std::uint32_t value(SlotState s) { return static_cast<std::uint32_t>(s); }

inline ProgramState state_of_program(const Program& p) {
  return static_cast<ProgramState>(p.state.load(std::memory_order_acquire));
}

inline bool is_warm(SlotState s) { return s == SlotState::parking || s == SlotState::idle; }

}  // namespace prewarm::park
