// SPDX-License-Identifier: MIT
//
// Programs that are held where they say that they are ready, instead of before main. Restrictions:
// see agent.h.
#include <sys/mman.h>

#include "park/agent.h"

extern "C" char** environ;

namespace prewarm::agent {
namespace {

bool is_for_agent(const char* variable) {
  constexpr const char* kNames[] = {"LD_PRELOAD=", "PREWARM_PARK="};
  for (const char* name : kNames) {
    if (starts_with(variable, name)) return true;
  }
  return false;
}

// Takes out what programs that main starts must not have. They would be loaded with the agent, and
// end, because it has no orders for them.
void clean_environment(char** envp) {
  char** to = envp;
  for (char** e = envp; *e != nullptr; ++e) {
    if (!is_for_agent(*e)) *to++ = *e;
  }
  *to = nullptr;
}

// The owner leaves room for the number.
void write_own_pid(char** envp) {
  for (char** e = envp; *e != nullptr; ++e) {
    constexpr std::size_t kName = sizeof kReadyVariable - 1;
    if (!starts_with(*e, kReadyVariable) || (*e)[kName] != '=') continue;
    char digits[24];
    std::size_t n = 0;
    for (long left = state.pid; left > 0; left /= 10)
      digits[n++] = static_cast<char>('0' + left % 10);
    char* to = *e + kName + 1;
    if (n > length(to)) return;
    while (n > 0) *to++ = digits[--n];
    *to = '\0';
  }
}

// unsetenv(3) writes to the row that it finds.
bool keep_environment(char** envp) {
  std::size_t count = 1;
  for (char** e = envp; *e != nullptr; ++e) ++count;
  auto** kept = reinterpret_cast<char**>(map_pages(count * sizeof(char*)));
  if (kept == nullptr) return false;
  for (std::size_t i = 0; i < count; ++i) kept[i] = envp[i];
  state.start_environment = kept;
  return true;
}

}  // namespace

char* map_pages(std::size_t size) {
  const long at = os::raw_syscall(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at < 0 && at > -4096 ? nullptr : reinterpret_cast<char*>(at);
}

int run_to_ready_point(int argc, char** argv, char** envp) {
  char** end = envp;
  while (*end != nullptr) ++end;
  state.auxv = reinterpret_cast<std::uint64_t*>(end + 1);
  state.pid = os::raw_syscall(SYS_getpid);
  clean_environment(envp);
  write_own_pid(envp);
  environ = envp;
  if (!keep_environment(envp)) refuse(launch::Reason::system_refused);
  state.in_main = true;
  return state.real_main(argc, argv, envp);
}

}  // namespace prewarm::agent

extern "C" __attribute__((visibility("default"))) int prewarm_ready(prewarm_ready_launch* point) {
  using namespace prewarm::agent;
  if (!state.in_main || state.released || state.ready != nullptr) return 0;
  // A child of the one that is to be held: nobody waits for it.
  if (prewarm::os::raw_syscall(SYS_getpid) != state.pid) return 0;
  if (point->size < sizeof *point) refuse(prewarm::launch::Reason::agent_missing);
  state.ready = point;
  park_at_ready_point();
  return 1;
}
