// SPDX-License-Identifier: MIT
//
// `prewarm bench deps`: what it costs to start a program that needs many libraries, by the system's
// loader and by others.
#pragma once

#include <string>
#include <vector>

#include "cli/bench_deps_graph.h"

namespace prewarm::cli {

struct BenchDepsOptions {
  DepsShape shape;
  unsigned processes = 20;        // at a time, where memory is looked at
  unsigned rounds = 20;           // starts of each way; 0: only make the libraries
  unsigned max_seconds = 30;      // that the starts of one way may take, but for the last of them
  std::vector<std::string> ways;  // names; empty: all
  std::string directory;          // of what is made; empty: in the user's cache
  std::string json;               // file, "-" for standard output; empty: none
  std::string html;               // file; empty: none
};

// 0 if all was measured that can be here, whatever the figures are; 1 if something failed, if a
// program was linked wrongly, or if a report can't be written.
int bench_deps(const BenchDepsOptions& options);

}  // namespace prewarm::cli
