// SPDX-License-Identifier: MIT
//
// What a constructor of the program saw before main. It copies raw values into fixed storage and
// looks up nothing by name (a getenv here would make the parked rung key on that variable).
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstring>
#include <string>

#include "observe.h"
#include "proc.h"

namespace mirror {
namespace {

struct Seen {
  bool ran;
  int argc;
  unsigned long argument_bytes;
  unsigned long environment_count;
  unsigned long environment_bytes;
  char first_argument[256];
  char cwd[PATH_MAX];
  pid_t pid;
  pid_t parent;
  std::uint64_t blocked;
  std::uint64_t ignored;
  bool input_open;
};

Seen seen;

unsigned long count_bytes(char** strings, unsigned long* count) {
  unsigned long bytes = 0;
  for (; *strings != nullptr; ++strings) {
    bytes += std::strlen(*strings) + 1;
    if (count != nullptr) ++*count;
  }
  return bytes;
}

std::uint64_t ignored_signals() {
  std::uint64_t set = 0;
  for (int signal = 1; signal <= 64; ++signal) {
    struct sigaction action{};
    const bool known = sigaction(signal, nullptr, &action) == 0;
    if (known && action.sa_handler == SIG_IGN) set |= std::uint64_t{1} << (signal - 1);
  }
  return set;
}

[[gnu::constructor]] void look(int argc, char** argv, char** envp) {
  const int saved_errno = errno;
  seen.ran = true;
  seen.argc = argc;
  seen.argument_bytes = count_bytes(argv, nullptr);
  seen.environment_bytes = count_bytes(envp, &seen.environment_count);
  if (argc > 0) std::strncpy(seen.first_argument, argv[0], sizeof seen.first_argument - 1);
  if (getcwd(seen.cwd, sizeof seen.cwd) == nullptr) std::strcpy(seen.cwd, "none");
  seen.pid = getpid();
  seen.parent = getppid();
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  std::memcpy(&seen.blocked, &blocked, sizeof seen.blocked);
  seen.ignored = ignored_signals();
  struct stat status;
  seen.input_open = fstat(STDIN_FILENO, &status) == 0;
  errno = saved_errno;
}

std::string compared(unsigned long before, unsigned long now) {
  return std::to_string(before) + (before == now ? " as in main" : " not as in main");
}

}  // namespace

void observe_constructor(Report& report, const Start& start) {
  unsigned long variables = 0;
  const unsigned long environment_bytes = count_bytes(start.envp, &variables);
  report.add_yes_no("constructor.ran", seen.ran);
  report.add("constructor.argc", compared(static_cast<unsigned long>(seen.argc),
                                          static_cast<unsigned long>(start.argc)));
  // Bytes aren't shown as such: the shell's pid among the arguments isn't always of one length.
  report.add_yes_no("constructor.argument_bytes_as_in_main",
                    seen.argument_bytes == count_bytes(start.argv, nullptr));
  report.add("constructor.argv0", digest(seen.first_argument));
  report.add("constructor.environment_count", compared(seen.environment_count, variables));
  report.add("constructor.environment_bytes", compared(seen.environment_bytes, environment_bytes));
  report.add("constructor.cwd", digest(seen.cwd));
  report.add_yes_no("constructor.pid_as_in_main", seen.pid == getpid());
  report.add_yes_no("constructor.parent_as_in_main", seen.parent == getppid());
  report.add("constructor.blocked", hexadecimal(seen.blocked));
  report.add("constructor.ignored", hexadecimal(seen.ignored));
  report.add_yes_no("constructor.stdin_open", seen.input_open);
}

}  // namespace mirror
