// SPDX-License-Identifier: MIT
//
// A process that stays to look at the time of a tool which runs as an ordinary process.
#pragma once

#include <chrono>
#include <functional>

#include "coproc/invocation.h"
#include "os/result.h"
#include "prewarm/process.h"

namespace prewarm::coproc {

// Waits for the tool, the child that `start` starts. It gets what is sent to this process alone
// (what a terminal sends, it gets by itself), and SIGTERM when `time` is over, then SIGKILL. Needs
// to be the only thread.
os::Result<Outcome> stand_for_process(const std::function<os::Result<Process>()>& start,
                                      std::chrono::milliseconds time);

}  // namespace prewarm::coproc
