// SPDX-License-Identifier: MIT
//
// For tests only: a program whose constructor does what its environment asks for, and whose main
// tells what came of it.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "park/testing/early.h"

namespace prewarm::park {
namespace {

BeforeMain before_main;
char** volatile kept;

void* sleep_for_ever(void*) {
  for (;;) ::pause();
}

void register_fork_handlers(int count) {
  for (int i = 0; i < count; ++i) {
    ::pthread_atfork([] { ++before_main.prepared; }, [] { ++before_main.in_parent; },
                     [] { ++before_main.in_child; });
  }
}

int* volatile nowhere;

void act(std::string_view wanted) {
  if (wanted == "exit") ::_exit(3);
  if (wanted == "crash") *nowhere = 0;
  if (wanted == "trap") __builtin_trap();
  if (wanted == "mask") (void)::sigprocmask(SIG_SETMASK, nullptr, nullptr);
  if (wanted == "handler") (void)::signal(SIGUSR1, SIG_IGN);
  if (wanted == "timer") (void)::alarm(3600);
  if (wanted == "directory" && ::chdir("/tmp") != 0) ::_exit(1);
  if (wanted == "fork") ::_exit(::fork());
  if (wanted == "raise") (void)::raise(SIGTERM);
  if (wanted == "print") std::printf("early\n");
  if (wanted == "terminal") (void)::isatty(0);
  if (wanted == "relative") (void)::access("file", R_OK);
  if (wanted == "write") (void)::open("/tmp/prewarm-test-early", O_WRONLY | O_CREAT, 0600);
}

void look_around(std::string_view wanted, char** argv) {
  if (wanted == "argument") before_main.seen[0] = argv[1][0];
  if (wanted == "name") before_main.seen[0] = argv[0][0];
  if (wanted == "short name") before_main.seen[0] = program_invocation_short_name[0];
  if (wanted == "environment") before_main.seen[0] = environ[0][0];
  if (wanted == "set a variable") ::setenv("NEW", "1", 1);
  if (wanted == "clear the environment") ::clearenv();
  if (wanted == "keep arguments") kept = argv;
  if (wanted == "keep a variable") kept = new char*(environ[0]);
}

__attribute__((constructor)) void run_before_main(int, char** argv, char**) {
  const char* text = std::getenv(kEarlyVariable);
  if (text == nullptr) return;
  const std::string_view wanted = text;
  if (wanted == "look for the agent") {
    before_main.saw_preload = std::getenv("LD_PRELOAD") != nullptr;
    before_main.saw_orders = std::getenv("PREWARM_PARK") != nullptr;
  }
  if (wanted == "look") {
    if (const char* seen = ::secure_getenv(kSeenVariable)) {
      std::strncpy(before_main.seen, seen, sizeof before_main.seen - 1);
    }
  }
  if (wanted == "open") ::open("/dev/null", O_RDONLY);
  if (wanted == "open high") (void)::dup2(0, 500);
  if (wanted == "read") {
    const int fd = ::open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    char byte;
    before_main.has_read = ::read(fd, &byte, 1) == 1;
    ::close(fd);
  }
  if (wanted == "locale") ::setlocale(LC_ALL, "");
  if (wanted == "pid") before_main.pid = ::getpid();
  act(wanted);
  look_around(wanted, argv);
  if (wanted == "handlers") register_fork_handlers(2);
  if (wanted == "many handlers") register_fork_handlers(100);
  if (wanted == "thread") {
    pthread_t thread;
    ::pthread_create(&thread, nullptr, sleep_for_ever, nullptr);
  }
  if (wanted == "many variables") {
    for (int i = 0; i < 1000; ++i) (void)std::getenv(("VARIABLE_" + std::to_string(i)).c_str());
  }
}

}  // namespace
}  // namespace prewarm::park

int main() {
  using prewarm::park::before_main;
  const ssize_t written = ::write(prewarm::park::kReportFd, &before_main, sizeof before_main);
  return written == sizeof before_main ? 0 : 1;
}
