// SPDX-License-Identifier: MIT
//
// A point in time until which something may wait, or none, in the form that poll(2) wants.
#pragma once

#include <algorithm>
#include <chrono>
#include <climits>
#include <optional>

namespace prewarm::cold {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  // No timeout: never over. One that is longer than poll can wait is cut to that (24 days).
  explicit Deadline(std::optional<std::chrono::milliseconds> timeout) {
    if (!timeout) return;
    end_ = Clock::now() +
           std::clamp(*timeout, std::chrono::milliseconds(0), std::chrono::milliseconds(INT_MAX));
  }

  bool over() const { return end_ && Clock::now() >= *end_; }
  // Rounded up, so that it is over after so long; -1: for ever.
  int left_ms() const {
    if (!end_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*end_ - Clock::now());
    return static_cast<int>(std::max(left.count(), std::chrono::milliseconds::rep{0}));
  }

 private:
  std::optional<Clock::time_point> end_;
};

}  // namespace prewarm::cold
