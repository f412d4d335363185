// SPDX-License-Identifier: MIT
//
// Starts a program by a chain, without a ring: for code that is a guest in another program (the
// shell), which is to get no thread, no lock and no descriptor from it.
//
// The caller goes on while the exec is under way. What it waits for is one operation of the chain:
// the one after which the task has let go of the caller's descriptors. Until then it would hold
// copies of them, and somebody might wait in vain for the end of a pipe that the caller has closed
// meanwhile, or meet the wrong partner at a fifo.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>

#include "cold/plan.h"

namespace prewarm::cold {

class HostTask {
 public:
  HostTask() = default;
  HostTask(const HostTask&) = delete;
  HostTask& operator=(const HostTask&) = delete;
  // Gives the memory back that the task has used, unless it is still in there.
  ~HostTask();

  // Starts the chain in a task that shares this memory, and returns when operation `awaited` (by
  // its place in the chain) has been done or the task has ended. The pid, or -errno. Once only. The
  // chain has to say which signal mask the program is to have.
  pid_t start(std::span<const Operation> operations, std::uint32_t awaited);

  // Whether the task ended without becoming the program. Allocates nothing.
  bool has_failed() const;

 private:
  void await(pid_t pid);

  Chain* chain_ = nullptr;
};

}  // namespace prewarm::cold
