// SPDX-License-Identifier: MIT
#include "coproc/policy.h"

#include <algorithm>

namespace prewarm::coproc {

std::optional<std::size_t> choose_worker(std::span<const Candidate> candidates,
                                         std::string_view affinity) {
  std::optional<std::size_t> best;
  const auto is_better = [affinity](const Candidate& a, const Candidate& b) {
    const bool a_fits = !affinity.empty() && a.affinity == affinity;
    const bool b_fits = !affinity.empty() && b.affinity == affinity;
    if (a_fits != b_fits) return a_fits;
    if (a.load != b.load) return a.load < b.load;
    return a.used_ns > b.used_ns;
  };
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].serves || candidates[i].room == 0) continue;
    if (!best || is_better(candidates[i], candidates[*best])) best = i;
  }
  return best;
}

unsigned workers_to_start(std::size_t waiting, std::size_t capacity, unsigned each,
                          std::size_t workers, unsigned most) {
  if (waiting <= capacity || workers >= most) return 0;
  const std::size_t wanted = (waiting - capacity + each - 1) / each;
  return static_cast<unsigned>(std::min<std::size_t>(wanted, most - workers));
}

void Backoff::died(std::int64_t now_ns) {
  ++deaths_;
  if (deaths_ < kPatience) return;
  std::int64_t pause = kFirstPauseNs;
  for (unsigned i = kPatience; i < deaths_ && pause < kLongestPauseNs; ++i) pause *= 2;
  until_ns_ = now_ns + std::min(pause, kLongestPauseNs);
}

}  // namespace prewarm::coproc
