// SPDX-License-Identifier: MIT
//
// The system's clocks, as one number. May be used in a signal handler.
#pragma once

#include <time.h>

#include <cstdint>

namespace prewarm::os {

inline constexpr std::int64_t kNsPerMs = 1'000'000;
inline constexpr std::int64_t kNsPerSecond = 1'000'000'000;

// Of a timespec, or of what statx(2) has in its place.
template <class Time>
std::int64_t ns_of(const Time& t) {
  return t.tv_sec * kNsPerSecond + t.tv_nsec;
}

inline timespec timespec_of(std::int64_t ns) { return {ns / kNsPerSecond, ns % kNsPerSecond}; }

inline std::int64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return ns_of(t);
}

}  // namespace prewarm::os
