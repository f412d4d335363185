// SPDX-License-Identifier: MIT
//
// Builds that have failed, so that they aren't tried again at every request.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "image/map_target.h"
#include "image/refusal.h"
#include "os/clock.h"

namespace prewarm::image {

class Failures {
 public:
  static constexpr std::size_t kMost = 1024;
  static constexpr std::int64_t kPauseNs = 60 * os::kNsPerSecond;  // times the failures so far
  static constexpr std::int64_t kLongestPauseNs = 60 * kPauseNs;

  // A changed program is another target, and may be tried at once.
  void add(const MapTarget& target, Refusal refusal, std::int64_t now_ns);
  void forget(const MapTarget& target) { known_.erase(target); }
  void forget_program(const std::string& path);
  // Nothing: it may be tried.
  std::optional<Refusal> why_not(const MapTarget& target, std::int64_t now_ns) const;
  std::size_t size() const { return known_.size(); }

  template <class Function>
  void for_each(Function function) const {
    for (const auto& [target, failure] : known_) function(target, failure.refusal);
  }

 private:
  struct Failure {
    Refusal refusal = Refusal::none;
    std::int64_t count = 0;
    std::int64_t until_ns = 0;
  };
  std::map<MapTarget, Failure> known_;
};

}  // namespace prewarm::image
