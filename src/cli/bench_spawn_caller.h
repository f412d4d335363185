// SPDX-License-Identifier: MIT
//
// The caller whose spawns `prewarm bench spawn` times: this command, run again by itself with a
// hidden subcommand, so that its memory and its threads are known.
//
// It obeys orders, lines on standard input:
//
//   check WAY PROGRAM                     answers "ok", or "no" and why it can't be had
//   time WAY PROGRAM COUNT                starts PROGRAM COUNT times, one after the other; answers
//                                         "ok", then COUNT lines of three times in ns, each from
//                                         just before the call: to the child's clock, until the
//                                         call returned (the caller was blocked), until it was
//                                         waited for
//   rate WAY PROGRAM OUTSTANDING COUNT    starts it COUNT times, OUTSTANDING at once; answers "ok",
//                                         then the time until all were waited for, in ns
//
// WAY is one of spawn_way_kinds(); PROGRAM lies in the last directory of PATH, and writes its clock
// (a timespec of CLOCK_MONOTONIC) to descriptor 3. It ends at the end of its input. When an order
// fails the answer is "failed" and why, and it ends with status 1.
#pragma once

#include <cstddef>

namespace prewarm::cli {

struct SpawnCallerOptions {
  std::size_t mib = 0;   // memory mapped
  bool touched = false;  // each page of it
  unsigned threads = 0;  // that do nothing
};

int bench_spawn_caller(const SpawnCallerOptions& options);

}  // namespace prewarm::cli
