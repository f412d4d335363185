// SPDX-License-Identifier: MIT
//
// Where it was measured: figures of two machines, or of a busy one and an idle one, don't compare.
#pragma once

#include <cstddef>
#include <string>

namespace prewarm::measure {

struct Machine {
  std::string processor;
  unsigned processors = 0;  // that this process may use
  std::string kernel;
  std::string time;  // UTC, ISO 8601
};

Machine look_at_machine();

// Of the last minute; 0 if it can't be read.
double load_average();

// Memory that can be had without swapping; 0 if it can't be read.
std::size_t available_mib();

}  // namespace prewarm::measure
