// SPDX-License-Identifier: MIT
//
// Runs a planned chain in the new task, which shares the memory of a process that goes on with its
// work: there is no libc here, no errno, no thread-local data, no allocation, and nothing is
// written but this task's own stack and the chain. The object files need no symbol from outside
// (executor_symbols_test.cc).
#pragma once

#include "cold/plan.h"

namespace prewarm::cold {

// The new task's first function, called with every signal blocked. The task becomes another program
// or ends.
[[noreturn]] void run_chain(Chain& chain);

// Parts of it; 0 or -errno.
namespace executor {

// exec or exec_fd, with the chain's signal mask. Returns only if it fails.
long execute(const Chain& chain, const Operation& operation);

long open_at(int fd, const char* path, int flags, std::uint64_t mode);
long duplicate(int from, int to);
long close_range(unsigned first, unsigned last);
// Writes to the placements.
long keep_only(Placement* placements, std::size_t count);
// Writes `size` bytes into a file that exists; `directory` may be AT_FDCWD.
long write_file(int directory, const char* path, const char* bytes, std::size_t size);

}  // namespace executor
}  // namespace prewarm::cold
