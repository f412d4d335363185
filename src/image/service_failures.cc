// SPDX-License-Identifier: MIT
#include "image/service_failures.h"

#include <algorithm>

namespace prewarm::image {

void Failures::add(const MapTarget& target, Refusal refusal, std::int64_t now_ns) {
  if (known_.size() >= kMost && !known_.contains(target)) {
    // The one that may be tried again first.
    known_.erase(std::ranges::min_element(known_, {},
                                          [](const auto& entry) { return entry.second.until_ns; }));
  }
  Failure& failure = known_[target];
  failure.refusal = refusal;
  ++failure.count;
  failure.until_ns = now_ns + std::min(failure.count * kPauseNs, kLongestPauseNs);
}

void Failures::forget_program(const std::string& path) {
  std::erase_if(known_, [&path](const auto& entry) { return entry.first.path == path; });
}

std::optional<Refusal> Failures::why_not(const MapTarget& target, std::int64_t now_ns) const {
  const auto found = known_.find(target);
  if (found == known_.end() || now_ns >= found->second.until_ns) return {};
  return found->second.refusal;
}

}  // namespace prewarm::image
