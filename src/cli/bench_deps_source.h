// SPDX-License-Identifier: MIT
//
// What the libraries of `prewarm bench deps` and their program are made of, as text.
//
// To compile thousands of files would take too long, and they differ in names and numbers only. So
// a template is compiled, in which all that differs has a placeholder that is as long as what takes
// its place, and the object file is written with these replaced.
#pragma once

#include <string>

#include "cli/bench_deps_graph.h"

namespace prewarm::cli {

// Source of a library with `needs` dependencies; C or C++ as the shape says.
std::string deps_template(const DepsShape& shape, unsigned needs);

// The object file of library `index`, made of the template's with as many dependencies.
std::string deps_object(const std::string& template_object, const DepsClosure& closure,
                        unsigned index);

// Source of the program. The first thing that its main does is to look at CLOCK_MONOTONIC; then it
// writes what it has seen (a timespec) to descriptor 3, reads descriptor 4 to its end, and prints
// its checksum, but not with an argument. Either descriptor may be closed.
std::string deps_program(const DepsClosure& closure);

// For the linker, where symbols have versions.
std::string deps_version_script();

}  // namespace prewarm::cli
