// SPDX-License-Identifier: MIT
//
// Makes the libraries of `prewarm bench deps` and their program, or finds them made. A set is a
// directory that is made under another name and then renamed, so that it is there whole or not at
// all; what an interrupted run has left behind is taken away by the next one.
#pragma once

#include <string>

#include "cli/bench_deps_graph.h"
#include "os/result.h"

namespace prewarm::cli {

// Where sets are if nobody says otherwise: ~/.cache/prewarm/bench, or in $XDG_CACHE_HOME.
std::string deps_cache();

enum class DepsLibc : std::uint8_t { system, musl };

struct DepsSet {
  std::string directory;   // absolute
  std::string program;     // needs all libraries
  std::string all_in_one;  // the same objects, linked statically; empty: not made for this libc
  std::string lacking;     // why, if it should have been
};

// Needs a compiler; that of musl is musl-gcc. Shows on standard error how far it is, if that is a
// terminal.
os::Result<DepsSet> make_deps(const DepsClosure& closure, DepsLibc libc, const std::string& cache);

}  // namespace prewarm::cli
