// SPDX-License-Identifier: MIT
//
// The agent's way in: __libc_start_main. Restrictions: see agent.h.
#include "park/agent.h"

#include <dlfcn.h>
#include <fcntl.h>

#include "park/part.h"

extern "C" char** environ;

namespace prewarm::agent {

State state;

namespace {

PREWARM_PART(park::Part::agent);

using StartFunction = int (*)(MainFunction, int, char**, void (*)(), void (*)(), void (*)(), void*);

const char* own_variable() {
  if (environ == nullptr) return nullptr;
  const std::size_t n = sizeof kParkVariable - 1;
  for (char** e = environ; *e != nullptr; ++e) {
    if (starts_with(*e, kParkVariable) && (*e)[n] == '=') return *e + n + 1;
  }
  return nullptr;
}

unsigned number(const char*& at) {
  unsigned value = 0;
  while (*at >= '0' && *at <= '9') value = value * 10 + static_cast<unsigned>(*at++ - '0');
  if (*at == ':') ++at;
  return value;
}

bool read_orders() {
  const char* at = own_variable();
  if (at == nullptr) return false;
  state.table_fd = static_cast<int>(number(at));
  state.control_fd = static_cast<int>(number(at));
  state.index = number(at);
  state.may_clone = number(at) != 0;
  state.in_background = number(at) != 0;
  state.slice = number(at);
  return state.index < park::kMaxPrograms;
}

}  // namespace

long read_file(const char* path, char* buffer, std::size_t size) {
  const long fd = os::raw_syscall(SYS_openat, AT_FDCWD, os::arg(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  std::size_t used = 0;
  while (used < size) {
    const long n =
        os::raw_syscall(SYS_read, fd, os::arg(buffer + used), static_cast<long>(size - used));
    if (n <= 0) break;
    used += static_cast<std::size_t>(n);
  }
  os::raw_syscall(SYS_close, fd);
  return static_cast<long>(used);
}

}  // namespace prewarm::agent

// Every dynamically linked glibc program calls this from its start-up code. The real one runs the
// program's own constructors and then calls the function that it is given: ours.
extern "C" __attribute__((visibility("default"))) int __libc_start_main(
    prewarm::agent::MainFunction main, int argc, char** argv, void (*init)(), void (*fini)(),
    void (*rtld_fini)(), void* stack_end) {
  using namespace prewarm::agent;
  auto real = reinterpret_cast<StartFunction>(dlsym(RTLD_NEXT, "__libc_start_main"));
  if (real == nullptr) leave(127);
  // Preloaded, but not told to park: never run the program, it was not meant to run.
  if (!read_orders()) leave(127);
  state.real_main = main;
  state.real_fini = rtld_fini;
  return real(park, argc, argv, init, fini, end_program, stack_end);
}
