// SPDX-License-Identifier: MIT
//
// `prewarm bench spawn`: what it costs to start a program, by all the ways that there are.
#pragma once

#include <string>

namespace prewarm::cli {

struct BenchSpawnOptions {
  unsigned runs = 2000;  // starts of each kind, one by one
  bool quick = false;    // only show that everything works
  std::string json;      // file, "-" for standard output; empty: none
  std::string html;      // file; empty: none
};

// 0 if all was measured, whatever the figures are; 1 if not, or if a report can't be written.
int bench_spawn(const BenchSpawnOptions& options);

}  // namespace prewarm::cli
