// SPDX-License-Identifier: MIT
//
// The ways of starting a program with many libraries that `prewarm bench deps` compares.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/bench_deps_graph.h"
#include "cli/bench_deps_make.h"
#include "os/result.h"

namespace prewarm::cli {

// What there is to start.
struct DepsSubject {
  const DepsClosure& closure;
  const std::string& cache;  // of sets
  const DepsSet& set;        // for the system's C library
};

// What has to be executed for one start. The program is found in `words` at any place; what is
// added behind goes to it.
struct DepsStart {
  std::vector<std::string> words;
  std::vector<std::pair<std::string, std::string>> environment{};  // added
  std::optional<double> build_us{};  // what preparing an image has taken
};

struct DepsWayKind {
  const char* name;   // in options and JSON
  const char* label;  // for people
  bool ours;          // this project's
  // Done once before the first start. An error says why this way can't be had here.
  os::Result<DepsStart> (*prepare)(const DepsSubject& subject);
};
std::span<const DepsWayKind> deps_way_kinds();
const DepsWayKind* find_deps_way(std::string_view name);

}  // namespace prewarm::cli
