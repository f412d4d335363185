// SPDX-License-Identifier: MIT
//
// libprewarm-spawn.so: takes the place of the C library's posix_spawn and posix_spawnp in a program
// that it is preloaded into. Both have two versions: programs linked before glibc 2.15 ask for one
// that runs a file of an unknown format by the shell. preload.map has the versions' names.
#include <dlfcn.h>

#include <cerrno>

#include "cold/posix_spawn.h"

namespace {

using Function = int(pid_t*, const char*, const posix_spawn_file_actions_t*,
                     const posix_spawnattr_t*, char* const*, char* const*);

int spawn(pid_t* pid, const prewarm::cold::PosixSpawn& call, const char* version) {
  const int result = prewarm::cold::run_posix_spawn(pid, call);
  if (result != prewarm::cold::kNotUnderstood) return result;
  const char* const name = call.search ? "posix_spawnp" : "posix_spawn";
  auto* const next = reinterpret_cast<Function*>(::dlvsym(RTLD_NEXT, name, version));
  return next != nullptr ? next(pid, call.file, call.actions, call.attributes, call.argv, call.env)
                         : ENOSYS;
}

}  // namespace

#define PREWARM_REPLACES(local, symbol, separator, version, is_search, is_scripts)   \
  __asm__(".symver " #local ", " symbol separator version);                          \
  extern "C" __attribute__((visibility("default"))) int local(                       \
      pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,       \
      const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]) { \
    return spawn(pid,                                                                \
                 {.file = file,                                                      \
                  .actions = actions,                                                \
                  .attributes = attributes,                                          \
                  .argv = argv,                                                      \
                  .env = envp,                                                       \
                  .search = is_search,                                               \
                  .scripts = is_scripts},                                            \
                 version);                                                           \
  }

PREWARM_REPLACES(posix_spawn_2_15, "posix_spawn", "@@", "GLIBC_2.15", false, false)
PREWARM_REPLACES(posix_spawnp_2_15, "posix_spawnp", "@@", "GLIBC_2.15", true, false)
PREWARM_REPLACES(posix_spawn_2_2, "posix_spawn", "@", "GLIBC_2.2.5", false, true)
PREWARM_REPLACES(posix_spawnp_2_2, "posix_spawnp", "@", "GLIBC_2.2.5", true, true)
