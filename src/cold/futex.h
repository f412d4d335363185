// SPDX-License-Identifier: MIT
//
// Waiting for words of memory, several of them or until a point in time. None of them is private to
// the process, as the kernel wakes some of them itself, and others lie in memory that is shared
// with a copy of the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

namespace prewarm::cold {

using Word = std::atomic<std::uint32_t>;

// A word, and what it was when it was looked at last.
struct Expected {
  const Word* word;
  std::uint32_t value;
};

// More words than one call can wait for.
inline constexpr std::size_t kMostWords = 128;  // FUTEX_WAITV_MAX

// Waits until one of at most kMostWords words may have changed. -EINTR: a signal handler ran;
// -ETIMEDOUT: `until` (os::now_ns) has come; else 0, which may be false alarm. Where the kernel
// can wait for one word only (before Linux 5.16), that is the first, and false alarms come after
// `patience_ns`, which grows meanwhile; start it anew with kImpatient when something has happened.
int wait_any(std::span<const Expected> words, std::optional<std::int64_t> until,
             std::int64_t& patience_ns);
inline constexpr std::int64_t kImpatient = 20'000;

}  // namespace prewarm::cold
