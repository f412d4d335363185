// SPDX-License-Identifier: MIT
#include "park/spawn_parked.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "os/raw_syscall.h"

namespace prewarm::park {
namespace {

// Small numbers for what the agent inherits; it moves them out of the way itself.
constexpr int kTableFd = 3;
constexpr int kControlFd = 4;

constexpr std::size_t kStackBytes = 16384;

// Runs in a child that shares the caller's memory: raw system calls only, nothing is written but
// this stack.
int child(void* data) {
  const auto& block = *static_cast<const SpawnBlock*>(data);
  using os::arg;
  using os::raw_syscall;
  raw_syscall(SYS_dup3, block.table_fd, kTableFd, 0);
  raw_syscall(SYS_dup3, block.control_fd, kControlFd, 0);
  for (int fd = 0; fd <= 2; ++fd) raw_syscall(SYS_dup3, block.null_fd, fd, 0);
  raw_syscall(SYS_close_range, kControlFd + 1, ~0U, 0);
  // Ignored signals stay ignored over an exec; a release sets those that its request names.
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    unsigned long mask;
  } const plain = {SIG_DFL, 0, nullptr, 0};
  for (int sig = 1; sig <= 64; ++sig) raw_syscall(SYS_rt_sigaction, sig, arg(&plain), 0, 8);
  raw_syscall(SYS_chdir, arg("/"));
  raw_syscall(SYS_execve, arg(block.path.c_str()), arg(block.argv.data()), arg(block.env.data()));
  raw_syscall(SYS_exit_group, 127);
  return 127;
}

}  // namespace

void prepare_parked(SpawnBlock& block, const char* path, char* const* env,
                    const std::string& agent_path, unsigned index, bool may_clone) {
  block.path = path;
  // If the agent could not be loaded after all, the program would run: so it is asked for nothing
  // but its version, under a name that no multi-call program knows.
  static char name[] = "prewarm-parked";
  static char version[] = "--version";
  block.argv = {name, version, nullptr};
  block.strings.push_back("LD_PRELOAD=" + agent_path);
  block.strings.push_back("LD_BIND_NOW=1");
  block.strings.push_back("PREWARM_PARK=" + std::to_string(kTableFd) + ":" +
                          std::to_string(kControlFd) + ":" + std::to_string(index) + ":" +
                          (may_clone ? "1" : "0"));
  for (auto& s : block.strings) block.env.push_back(s.data());
  // The strings of `env` may be freed by the caller before the exec: copy them.
  std::size_t size = 0;
  for (char* const* e = env; *e != nullptr; ++e) size += std::strlen(*e) + 1;
  block.strings.emplace_back();
  std::string& area = block.strings.back();
  area.reserve(size);
  for (char* const* e = env; *e != nullptr; ++e) {
    block.env.push_back(area.data() + area.size());
    area.append(*e, std::strlen(*e) + 1);
  }
  block.env.push_back(nullptr);
  block.stack = std::make_unique_for_overwrite<char[]>(kStackBytes);
}

pid_t spawn_parked(SpawnBlock& block) {
  // No handler of the caller may run in the child, which shares its memory; and the program is to
  // park with every signal blocked.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const int pid = ::clone(child, block.stack.get() + kStackBytes, CLONE_VM | SIGCHLD, &block);
  const int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return pid >= 0 ? pid : -error;
}

}  // namespace prewarm::park
