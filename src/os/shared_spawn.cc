// SPDX-License-Identifier: MIT
#include "os/shared_spawn.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "os/raw_syscall.h"
#include "os/scheduling.h"

namespace prewarm::os {
namespace {

// Runs in a child that shares the caller's memory: raw system calls only; nothing is written but
// this stack and the one word that the caller waits for.
int child(void* data) {
  auto& spawn = *static_cast<SharedSpawn*>(data);
  const int count = static_cast<int>(spawn.descriptors.size());
  for (int i = 0; i < count; ++i) {
    raw_syscall(SYS_dup3, spawn.descriptors[static_cast<std::size_t>(i)], i, 0);
  }
  raw_syscall(SYS_close_range, count, ~0U, 0);
  spawn.detached.store(1, std::memory_order_release);
  raw_syscall(SYS_futex, arg(&spawn.detached), FUTEX_WAKE, 1);
  if (spawn.default_signals) {
    // Ignored signals stay ignored over an exec.
    struct {
      void (*handler)(int);
      unsigned long flags;
      void (*restorer)();
      unsigned long mask;
    } const plain = {SIG_DFL, 0, nullptr, 0};
    for (int sig = 1; sig <= 64; ++sig) raw_syscall(SYS_rt_sigaction, sig, arg(&plain), 0, 8);
  }
  if (spawn.background) work_in_background();
  if (spawn.directory != nullptr) raw_syscall(SYS_chdir, arg(spawn.directory));
  if (!spawn.block_signals) {
    const unsigned long none = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, arg(&none), 0, 8);
  }
  raw_syscall(SYS_execve, arg(spawn.path.c_str()), arg(spawn.argv.data()), arg(spawn.env.data()));
  raw_syscall(SYS_exit_group, 127);
  return 127;
}

}  // namespace

void SharedSpawn::append_environment(char* const* from, bool (*wanted)(const char*)) {
  // One string holds them all: its bytes don't move when `strings` grows.
  std::size_t size = 0;
  for (char* const* e = from; *e != nullptr; ++e) size += std::strlen(*e) + 1;
  strings.emplace_back();
  std::string& area = strings.back();
  area.reserve(size + 1);
  for (char* const* e = from; *e != nullptr; ++e) {
    if (wanted != nullptr && !wanted(*e)) continue;
    env.push_back(area.data() + area.size());
    area.append(*e, std::strlen(*e) + 1);
  }
}

void SharedSpawn::terminate() {
  argv.push_back(nullptr);
  env.push_back(nullptr);
}

pid_t spawn_shared(SharedSpawn& spawn) {
  // No handler of the caller may run in the child, which shares its memory.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const int pid =
      ::clone(child, spawn.stack + SharedSpawn::kStackBytes, CLONE_VM | SIGCHLD, &spawn);
  const int error = errno;
  while (pid > 0 && spawn.detached.load(std::memory_order_acquire) == 0) {
    // Bounded, in case the child is killed before it gets that far.
    const timespec limit{0, 100000000};
    if (raw_syscall(SYS_futex, arg(&spawn.detached), FUTEX_WAIT, 0, arg(&limit)) == -ETIMEDOUT) {
      siginfo_t info{};
      if (raw_syscall(SYS_waitid, 1 /* P_PID */, pid, arg(&info), 4 | 1 | 0x01000000, 0) != 0 ||
          info.si_pid == pid) {
        break;
      }
    }
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return pid >= 0 ? pid : -error;
}

}  // namespace prewarm::os
