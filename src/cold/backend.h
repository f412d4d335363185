// SPDX-License-Identifier: MIT
//
// How a planned chain becomes a task. One function for each family of backends; what is the same
// for all is the ring's.
#pragma once

#include "cold/plan.h"
#include "prewarm/fd.h"

namespace prewarm::cold {

struct Block;

struct Started {
  pid_t pid;  // or -errno
  Fd pidfd;
  bool under_way;  // the chain's word will tell when it has ended; else it has already
};

// shared_memory, vfork and fork: the executor runs the chain, on the block's stack.
Started start_task(Chain& chain, const Block& block, Backend backend);
// When has_left(): sets the result of an exec that was under way then.
void settle_task(Chain& chain);

// posix_spawn: the C library does what the chain says, as far as it can.
Started start_posix_spawn(Chain& chain);

// Whether the process has become the program that it was to execute: false if it ended before.
// `made`: when (Chain::made), because whoever waits for programs may do it before this looks, and a
// busy system gives the number to another soon.
bool has_executed(pid_t child, std::uint64_t made);

}  // namespace prewarm::cold
