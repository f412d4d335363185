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

// The least memory, in bytes, that a control group may be limited to for anything to be parked in
// it: several times what all parked processes of a shell use by themselves.
inline constexpr std::uint64_t kLeastMemory = std::uint64_t{64} << 20;

// The tightest memory limit of the control groups that `groups` (the text of /proc/self/cgroup)
// names and of those that they lie in, below `root`, where control groups are mounted.
std::uint64_t memory_limit(std::string_view groups, const std::string& root);

}  // namespace prewarm::bash
