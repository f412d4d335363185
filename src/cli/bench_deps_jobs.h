// SPDX-License-Identifier: MIT
//
// Thousands of short programs, a few at a time, of which some have to wait for others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/bench_deps_graph.h"
#include "os/result.h"

namespace prewarm::cli {

// Runs a program; what it says goes to the end of the file `log`. An error if it fails.
os::Result<void> run_logged(const std::vector<std::string>& words, const std::string& log);

// Runs `words(i)` for each library of the closure after those of all that it needs, as many at a
// time as there are processors. `done(n)` is told after each how many are done. Ends at the first
// failure; nothing that it has started runs on.
os::Result<void> run_in_order(const DepsClosure& closure,
                              const std::function<std::vector<std::string>(unsigned)>& words,
                              const std::string& log, const std::function<void(unsigned)>& done);

}  // namespace prewarm::cli
