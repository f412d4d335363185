// SPDX-License-Identifier: GPL-3.0-or-later
//
// Whether the limits under which the shell runs leave room for parked processes. Under a tight one
// the script would notice them: a program could fail to load the agent, or the script itself could
// run short.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace prewarm::bash {

bool limits_allow_parking();

// What control groups limit, and by which file in each version.
struct GroupLimit {
  const char* controller;
  const char* version1;
  const char* version2;
};
inline constexpr GroupLimit kGroupMemory{"memory", "memory.limit_in_bytes", "memory.max"};
inline constexpr GroupLimit kGroupProcesses{"pids", "pids.max", "pids.max"};

// The tightest limit of the control groups that `groups` (the text of /proc/self/cgroup) names and
// of those that they lie in, below `root`, where control groups are mounted.
std::uint64_t group_limit(const GroupLimit& limit, std::string_view groups,
                          const std::string& root);

}  // namespace prewarm::bash
