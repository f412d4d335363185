// SPDX-License-Identifier: GPL-3.0-or-later
//
// When this process has taken which signal: so that it can tell, of a signal to the process group,
// whether a launch was before or after.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "os/clock.h"

namespace prewarm::bash {

class TakenSignals {
 public:
  // First thing in the handler of a signal.
  void note(int sig) { at_[sig].store(os::now_ns()); }

  // Those that were last taken at `ns` (CLOCK_MONOTONIC) or later; bit n-1 is signal n.
  std::uint64_t since(std::int64_t ns) const {
    std::uint64_t bits = 0;
    for (int sig = 1; sig < NSIG; ++sig) {
      if (at_[sig].load() >= ns) bits |= std::uint64_t{1} << (sig - 1);
    }
    return bits;
  }

 private:
  std::atomic<std::int64_t> at_[NSIG]{};
};

// Handlers belong to the process, and so does this.
inline constinit TakenSignals taken_signals;

}  // namespace prewarm::bash
