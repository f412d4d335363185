// SPDX-License-Identifier: MIT
//
// The agent's way in: its orders, and __libc_start_main. Restrictions: see agent.h.
#include "park/agent.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "park/part.h"

namespace prewarm::agent {

State state;

namespace {

PREWARM_PART(park::Part::agent);

using StartFunction = int (*)(MainFunction, int, char**, void (*)(), void (*)(), void (*)(), void*);

const char* own_variable(char* const* env) {
  const std::size_t n = sizeof kParkVariable - 1;
  for (char* const* e = env; *e != nullptr; ++e) {
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

bool read_orders(char* const* env) {
  const char* at = own_variable(env);
  if (at == nullptr) return false;
  state.table_fd = static_cast<int>(number(at));
  state.control_fd = static_cast<int>(number(at));
  state.index = number(at);
  state.may_clone = number(at) != 0;
  state.in_background = number(at) != 0;
  state.slice = number(at);
  state.to_ready_point = number(at) != 0;
  return state.index < park::kMaxPrograms;
}

char* map_part(std::size_t offset, std::size_t size) {
  const long at = os::raw_syscall(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                                  MAP_SHARED, state.table_fd, static_cast<long>(offset));
  return at < 0 && at > -4096 ? nullptr : reinterpret_cast<char*>(at);
}

// Maps our page of the table, for good, and our manifest, until it is written.
bool map_table() {
  char* head = map_part(0, 4096);
  if (head == nullptr) return false;
  const auto* table = reinterpret_cast<const Table*>(head);
  const bool ours = table->magic == park::kTableMagic && table->version == park::kTableVersion;
  os::raw_syscall(SYS_munmap, os::arg(head), 4096);
  if (!ours) return false;
  char* page = map_part(offsetof(Table, programs) + state.index * sizeof(Program), sizeof(Program));
  state.manifest = map_part(offsetof(Table, manifests) + state.index * park::kManifestBytes,
                            park::kManifestBytes);
  if (page == nullptr || state.manifest == nullptr) return false;
  state.program = reinterpret_cast<Program*>(page);
  return true;
}

// Moves the control socket to its number. The table is mapped by now.
void take_control_socket() {
  os::raw_syscall(SYS_dup3, state.control_fd, kControlFd, O_CLOEXEC);
  os::raw_syscall(SYS_close, state.control_fd);
  os::raw_syscall(SYS_close, state.table_fd);
}

}  // namespace

bool follow_orders(char* const* env) {
  if (!read_orders(env) || !map_table()) return false;
  take_control_socket();
  // Not to outlive the owner, whatever a constructor may wait for.
  os::raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  return os::raw_syscall(SYS_getppid) == state.program->owner.load();
}

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
  // Without orders, or initialised too late to see what constructors do: never run the program, it
  // was not meant to run.
  if (!state.came_first) leave(127);
  state.real_main = main;
  state.real_fini = rtld_fini;
  const MainFunction held = state.to_ready_point ? run_to_ready_point : park;
  return real(held, argc, argv, init, fini, end_program, stack_end);
}
