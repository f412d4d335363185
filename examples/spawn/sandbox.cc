// SPDX-License-Identifier: MIT
//
// sandbox PROGRAM [ARGUMENT...]: runs a program that may read what is installed and write nothing,
// open no socket, use little memory and no more than some processor time, gets no new privileges,
// and ends with us. None of it needs root, and none of it is code between fork and exec.
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <iostream>

#include "prewarm/command.h"

namespace op = prewarm::op;

namespace {

constexpr std::uint64_t kReading =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// All that landlock's first version knows (Linux 5.13).
constexpr std::uint64_t kEverything = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

bool allow(int ruleset, const char* path, std::uint64_t access) {
  const prewarm::Fd place(::open(path, O_PATH | O_CLOEXEC));
  if (!place.valid()) return errno == ENOENT;  // what isn't there needs no rule
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = place.get();
  return ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

// May be made once, and used for any number of children.
prewarm::Fd reading_only() {
  landlock_ruleset_attr attr{};
  attr.handled_access_fs = kEverything;
  const long made = ::syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
  prewarm::Fd ruleset(static_cast<int>(made));
  if (!ruleset.valid()) return ruleset;
  constexpr std::uint64_t kReadAndWrite =
      LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
  bool good = allow(ruleset.get(), "/dev/null", kReadAndWrite);
  for (const char* directory : {"/usr", "/bin", "/lib", "/lib64", "/etc"}) {
    good = good && allow(ruleset.get(), directory, kReading);
  }
  if (!good) ruleset.reset();
  return ruleset;
}

// socket(2) fails with EACCES, other system calls are as always. A program for another kind of
// processor, whose calls have other numbers, is killed.
sock_filter no_sockets[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: sandbox PROGRAM [ARGUMENT...]\n";
    return 2;
  }
  const prewarm::Fd ruleset = reading_only();
  if (!ruleset.valid()) {
    std::cerr << "sandbox: no landlock here\n";
    return 77;
  }
  const sock_fprog filter = {std::size(no_sockets), no_sockets};

  prewarm::Command command(argv[1]);
  for (int i = 2; i < argc; ++i) command.arg(argv[i]);
  command.clear_env()
      .env("PATH", "/usr/bin:/bin")
      .directory("/")
      .limit(RLIMIT_AS, rlim_t{256} << 20)
      .limit(RLIMIT_CPU, 1)
      .limit(RLIMIT_CORE, 0)
      .no_new_privileges()
      .death_signal(SIGKILL)
      .setup(op::landlock(ruleset.get()))
      .setup(op::seccomp(filter));
  const auto ended = command.run();
  if (!ended) {
    std::cerr << "sandbox: " << ended.error().message() << '\n';
    return 126;
  }
  if (!ended->success()) std::cerr << "sandbox: it " << ended->status.message() << '\n';
  return ended->status.code().value_or(1);
}
