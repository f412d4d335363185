// SPDX-License-Identifier: MIT
//
// Processes that need not be children of this one: whether they have ended, and how.
#pragma once

#include <sys/types.h>

#include <optional>

#include "os/fd.h"

namespace prewarm::os {

// Refers to the process for good, whatever becomes of its pid (pidfd_open(2)). Not valid if there
// is none. Closed on exec.
Fd watch(pid_t pid);

// Whether the process has ended, even if nobody has waited for it yet.
bool ended(const Fd& watched);
bool ended(pid_t pid);

// The wait status of process `pid`, which has ended. When its parent has waited for it, then the
// kernel still tells it since Linux 6.15.
std::optional<int> ended_status(const Fd& watched, pid_t pid);

}  // namespace prewarm::os
