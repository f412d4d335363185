// SPDX-License-Identifier: MIT
//
// Three operations as glibc's posix_spawn carries them out, which differ in details from the
// ring's. They are in nobody's queue: only cold/posix_spawn.cc makes chains with them, and the
// executor runs them. Restrictions: executor.h.
#pragma once

#include "cold/path_search.h"
#include "cold/plan.h"

namespace prewarm::cold::libc {

// Beyond what a caller of the ring can ask for: planning refuses codes that it doesn't know.
//
// close(fd). A descriptor that isn't open is an error only if it can't be one: negative, or not
// below the limit.
inline constexpr auto kClose = static_cast<OperationCode>(0xf0);
// open(fd, data: path, other: flags, value: mode). `fd` is closed first, so that a full table and a
// device that can be open once only are no hindrance. O_CLOEXEC stays only if the number that the
// kernel chose was `fd`.
inline constexpr auto kOpen = static_cast<OperationCode>(0xf1);
// exec(data: ExecRequest).
inline constexpr auto kExec = static_cast<OperationCode>(0xf2);

struct ExecRequest {
  PathSearch search;  // written to
  char* const* argv;
  char* const* env;
  // Not null: a file of an unknown format is a script for kShell, with these arguments. The second
  // is set to the file's name.
  const char** script;
};
inline constexpr const char* kShell = "/bin/sh";

// 0 or -errno; kExec returns only if it fails.
long perform(const Chain& chain, const Operation& operation);

}  // namespace prewarm::cold::libc
