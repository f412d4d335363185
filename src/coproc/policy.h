// SPDX-License-Identifier: MIT
//
// What the owner of pools decides, apart from processes and time: which worker serves, when workers
// are started and when not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "os/clock.h"

namespace prewarm::coproc {

// A worker, as far as decisions go.
struct Candidate {
  bool serves = false;        // it has been greeted and is not on its way out
  unsigned room = 0;          // requests that it can take now
  unsigned load = 0;          // requests that it works on
  std::string_view affinity;  // of the last request
  std::int64_t used_ns = 0;   // when it last did something
};

// The worker for a request: one that last served the same affinity if there is one with room, else
// the one with the least to do, and of several the one that was used last: it is warmest, and the
// others may end for want of use. Nothing: none has room.
std::optional<std::size_t> choose_worker(std::span<const Candidate> candidates,
                                         std::string_view affinity);

// How many more workers to start for requests that wait. `capacity`: requests that those on their
// way can take.
unsigned workers_to_start(std::size_t waiting, std::size_t capacity, unsigned each,
                          std::size_t workers, unsigned most);

// Holds starts back while workers keep dying: after kPatience deaths in a row for kFirstPauseNs,
// and after each further one for twice as long, up to kLongestPauseNs.
class Backoff {
 public:
  static constexpr unsigned kPatience = 3;
  static constexpr std::int64_t kFirstPauseNs = os::kNsPerSecond;
  static constexpr std::int64_t kLongestPauseNs = 60 * os::kNsPerSecond;

  void died(std::int64_t now_ns);
  void served() { deaths_ = 0; }
  // Until when no worker is started; 0, or a time that is over: at once.
  std::int64_t until_ns() const { return deaths_ < kPatience ? 0 : until_ns_; }

 private:
  unsigned deaths_ = 0;
  std::int64_t until_ns_ = 0;
};

}  // namespace prewarm::coproc
