// SPDX-License-Identifier: MIT
#include "cold/host_task.h"

#include <cerrno>

#include "cold/backend.h"
#include "cold/blocks.h"
#include "cold/signals_blocked.h"
#include "os/futex.h"
#include "os/process.h"

namespace prewarm::cold {

HostTask::~HostTask() {
  if (chain_ == nullptr || !has_left(chain_->alive.load())) return;
  Blocks blocks(false);
  blocks.give(chain_->block);
}

// Bounded, in case the task is killed before it gets that far.
void HostTask::await(pid_t pid) {
  while (chain_->told.load(std::memory_order_acquire) == 0) {
    const long r = os::futex_wait_for(chain_->told, 0, 100 * os::kNsPerMs);
    if (r == -ETIMEDOUT && os::ended(pid)) return;
  }
}

pid_t HostTask::start(std::span<const Operation> operations, std::uint32_t awaited) {
  if (check_chain(operations) != 0) return -EINVAL;
  for (const Operation& o : operations) {
    if (const int error = check(o); error != 0) return error;
  }
  Blocks blocks(false);
  const auto planned = plan_in_block(operations, blocks);
  if (!planned) return planned.error();
  chain_ = *planned;
  chain_->awaited = awaited;

  const SignalsBlocked blocked;  // no handler of the caller may run before the caller knows the pid
  const Started started = start_task(*chain_, *chain_->block, Backend::shared_memory);
  if (started.pid > 0) {
    await(started.pid);
  } else {
    chain_->alive.store(0);
  }
  return started.pid;
}

bool HostTask::has_failed() const {
  if (chain_ == nullptr || !has_left(chain_->alive.load())) return false;
  // Killed in the middle of an exec counts as the program's.
  return (chain_->gate.load() & kExecuting) == 0;
}

}  // namespace prewarm::cold
