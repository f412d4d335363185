// SPDX-License-Identifier: MIT
#include "cold/host_task.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>

#include "cold/backend.h"
#include "cold/blocks.h"
#include "os/raw_syscall.h"

namespace prewarm::cold {

HostTask::~HostTask() {
  if (chain_ == nullptr || !has_left(chain_->alive.load())) return;
  Blocks blocks(false);
  blocks.give(chain_->block);
}

// Bounded, in case the task is killed before it gets that far.
void HostTask::await(pid_t pid) {
  while (chain_->told.load(std::memory_order_acquire) == 0) {
    const timespec limit{0, 100'000'000};
    if (os::raw_syscall(SYS_futex, os::arg(&chain_->told), FUTEX_WAIT, 0, os::arg(&limit)) !=
        -ETIMEDOUT) {
      continue;
    }
    siginfo_t info{};
    const int flags = WEXITED | WNOHANG | WNOWAIT;
    if (::waitid(P_PID, static_cast<id_t>(pid), &info, flags) != 0 || info.si_pid == pid) return;
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

  // No handler of the caller may run before the caller knows the pid.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const Started started = start_task(*chain_, *chain_->block, Backend::shared_memory);
  if (started.pid > 0) {
    await(started.pid);
  } else {
    chain_->alive.store(0);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return started.pid;
}

bool HostTask::has_failed() const {
  if (chain_ == nullptr || !has_left(chain_->alive.load())) return false;
  // Killed in the middle of an exec counts as the program's.
  return (chain_->gate.load() & kExecuting) == 0;
}

}  // namespace prewarm::cold
