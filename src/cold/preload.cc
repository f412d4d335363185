// SPDX-License-Identifier: MIT
//
// libprewarm-spawn.so: takes the place of the C library's posix_spawn and posix_spawnp in a program
// that it is preloaded into. Both have two versions: programs linked before glibc 2.15 ask for one
// that runs a file of an unknown format by the shell. preload.map has the versions' names.
#include <dlfcn.h>

#include <cerrno>

#include "cold/posix_spawn.h"

namespace {

using Actions = posix_spawn_file_actions_t;
using Attributes = posix_spawnattr_t;
using Function = int(pid_t*, const char*, const Actions*, const Attributes*, char* const*,
                     char* const*);

struct Symbol {
  const char* name;
  const char* version;
  bool search;   // in PATH
  bool scripts;  // are run by the shell
};
constexpr Symbol kSpawn{"posix_spawn", "GLIBC_2.15", false, false};
constexpr Symbol kSpawnp{"posix_spawnp", "GLIBC_2.15", true, false};
constexpr Symbol kOldSpawn{"posix_spawn", "GLIBC_2.2.5", false, true};
constexpr Symbol kOldSpawnp{"posix_spawnp", "GLIBC_2.2.5", true, true};

int spawn(const Symbol& symbol, pid_t* pid, const char* file, const Actions* actions,
          const Attributes* attributes, char* const argv[], char* const envp[]) {
  const int result = prewarm::cold::run_posix_spawn(pid, {.file = file,
                                                          .actions = actions,
                                                          .attributes = attributes,
                                                          .argv = argv,
                                                          .env = envp,
                                                          .search = symbol.search,
                                                          .scripts = symbol.scripts});
  if (result != prewarm::cold::kNotUnderstood) return result;
  void* const next = ::dlvsym(RTLD_NEXT, symbol.name, symbol.version);
  if (next == nullptr) return ENOSYS;
  return reinterpret_cast<Function*>(next)(pid, file, actions, attributes, argv, envp);
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

__asm__(".symver spawn_2_15, posix_spawn@@GLIBC_2.15");
int spawn_2_15(pid_t* pid, const char* path, const Actions* actions, const Attributes* attributes,
               char* const argv[], char* const envp[]) {
  return spawn(kSpawn, pid, path, actions, attributes, argv, envp);
}

__asm__(".symver spawnp_2_15, posix_spawnp@@GLIBC_2.15");
int spawnp_2_15(pid_t* pid, const char* file, const Actions* actions, const Attributes* attributes,
                char* const argv[], char* const envp[]) {
  return spawn(kSpawnp, pid, file, actions, attributes, argv, envp);
}

__asm__(".symver spawn_2_2, posix_spawn@GLIBC_2.2.5");
int spawn_2_2(pid_t* pid, const char* path, const Actions* actions, const Attributes* attributes,
              char* const argv[], char* const envp[]) {
  return spawn(kOldSpawn, pid, path, actions, attributes, argv, envp);
}

__asm__(".symver spawnp_2_2, posix_spawnp@GLIBC_2.2.5");
int spawnp_2_2(pid_t* pid, const char* file, const Actions* actions, const Attributes* attributes,
               char* const argv[], char* const envp[]) {
  return spawn(kOldSpawnp, pid, file, actions, attributes, argv, envp);
}

}  // extern "C"
#pragma GCC visibility pop
