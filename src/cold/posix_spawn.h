// SPDX-License-Identifier: MIT
//
// posix_spawn(3) as a chain: what the C library's objects hold becomes a row of linked operations,
// which the executor runs in a task that shares the caller's memory. The caller waits for its exec,
// so nothing is copied: the operations point to what the caller gave. There is no ring here, no
// thread and, but for the first look at the C library's layout (libc_actions.h), no malloc.
#pragma once

#include <spawn.h>
#include <sys/types.h>

namespace prewarm::cold {

struct PosixSpawn {
  const char* file;
  const posix_spawn_file_actions_t* actions;  // may be null
  const posix_spawnattr_t* attributes;        // may be null
  char* const* argv;
  char* const* env;
  bool search = false;   // in the directories of PATH
  bool scripts = false;  // a file of an unknown format is a script for /bin/sh
};

// The objects hold what this code doesn't know. Nothing has been done; ask the C library.
inline constexpr int kNotUnderstood = -1;

// 0 and *pid (if that isn't null), or the errno value of what failed first, or kNotUnderstood.
// The contract is prewarm/posix_spawn.h's.
int run_posix_spawn(pid_t* pid, const PosixSpawn& call);

}  // namespace prewarm::cold
