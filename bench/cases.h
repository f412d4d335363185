// SPDX-License-Identifier: MIT
//
// The cases: each has a name, what it shows, what is demanded of it, and a function that measures.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/session.h"

namespace prewarm::bench {

struct Case {
  std::string name;
  std::string what;
  std::vector<Demand> demands;  // none: for information only
  std::function<os::Result<Measured>(const Session&)> measure;
};

std::vector<Case> loop_cases();         // loop_cases.cc: a command in a loop of a script
std::vector<Case> script_cases();       // script_cases.cc: whole short scripts
std::vector<Case> to_main_cases();      // to_main_case.cc: from a caller to the start of main
std::vector<Case> coproc_cases();       // coproc_cases.cc: tools that stay
std::vector<Case> image_map_cases();    // image_map_case.cc: the loader service
std::vector<Case> image_start_cases();  // image_start_case.cc: starts from images
std::vector<Case> lambda_cases();       // lambda_case.cc: the example, as a whole

}  // namespace prewarm::bench
