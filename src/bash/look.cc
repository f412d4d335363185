// SPDX-License-Identifier: GPL-3.0-or-later
//
// Starting the bash that looks at the script.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "bash/scan.h"
#include "os/raw_syscall.h"

extern "C" char** environ;

namespace prewarm::bash {
namespace {

constexpr int kTableFd = 3;
constexpr std::size_t kStackBytes = 16384;

// What the child reads, alive for as long as the shell: it shares memory until its exec.
struct Block {
  std::string path;
  std::vector<std::string> strings;
  std::vector<char*> argv;
  std::vector<char*> env;
  int memory;
  int null;
  char stack[kStackBytes];
};

// Shares the shell's memory: raw system calls only.
int child(void* data) {
  const auto& block = *static_cast<const Block*>(data);
  using os::arg;
  using os::raw_syscall;
  for (int fd = 0; fd <= 2; ++fd) raw_syscall(SYS_dup3, block.null, fd, 0);
  raw_syscall(SYS_dup3, block.memory, kTableFd, 0);
  raw_syscall(SYS_close_range, kTableFd + 1, ~0U, 0);
  const unsigned long none = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, arg(&none), 0, 8);
  raw_syscall(SYS_execve, arg(block.path.c_str()), arg(block.argv.data()), arg(block.env.data()));
  raw_syscall(SYS_exit_group, 127);
  return 127;
}

void fill(Block& block, const std::string& script, const std::string& loadable) {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
  block.path.assign(self, n > 0 ? static_cast<std::size_t>(n) : 0);
  block.strings = {"bash",
                   "-n",
                   "--",
                   script,
                   "LD_PRELOAD=" + loadable,
                   std::string(launch::kScanVariable) + "=" + std::to_string(kTableFd)};
  for (std::size_t i = 0; i < 4; ++i) block.argv.push_back(block.strings[i].data());
  block.argv.push_back(nullptr);
  block.env = {block.strings[4].data(), block.strings[5].data()};
  for (char** e = environ; *e != nullptr; ++e) {
    const bool other = std::strncmp(*e, "LD_PRELOAD=", 11) != 0 &&
                       std::strncmp(*e, "BASH_ENV=", 9) != 0 && std::strncmp(*e, "ENV=", 4) != 0;
    if (other) block.env.push_back(*e);
  }
  block.env.push_back(nullptr);
}

}  // namespace

bool Look::start(const std::string& script, const std::string& loadable, int floor) {
  const os::Fd memory = os::move_above(os::Fd(::memfd_create("prewarm-scan", MFD_CLOEXEC)), floor);
  const os::Fd null = os::move_above(os::Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)), floor);
  constexpr std::size_t kSize = sizeof(launch::ScanTable);
  if (!memory.valid() || !null.valid() || ::ftruncate(memory.get(), kSize) != 0) return false;
  void* at = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, memory.get(), 0);
  if (at == MAP_FAILED) return false;
  table_ = static_cast<launch::ScanTable*>(at);
  // Never freed: nobody tells when the child has exec'd, and it is small.
  auto* block = new Block;
  fill(*block, script, loadable);
  block->memory = memory.get();
  block->null = null.get();
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  // The child has a copy of the descriptors: ours are closed at the end of this function.
  pid_ = ::clone(child, block->stack + kStackBytes, CLONE_VM | SIGCHLD, block);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return pid_ > 0;
}

Look::~Look() {
  if (table_ != nullptr) ::munmap(table_, sizeof(launch::ScanTable));
}

}  // namespace prewarm::bash
