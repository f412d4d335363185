// SPDX-License-Identifier: MIT
//
// How long a program takes from its launch to its end, cold and from a parked process.
#pragma once

#include <expected>
#include <string>

#include "launch/reason.h"

namespace prewarm::cli {

struct StartTimes {
  double cold_us;  // medians, microseconds
  double warm_us;
};

// Runs `path --version` some tens of times, with output discarded. The reason says why it could not
// be parked.
std::expected<StartTimes, launch::Reason> measure_start(const std::string& path,
                                                        const std::string& agent);

}  // namespace prewarm::cli
