// SPDX-License-Identifier: MIT
//
// How a shell was asked to warm its commands. `prewarm run` passes this to the loadable that it
// preloads into bash, in the one environment variable kVariable, which is gone before bash looks at
// its environment. A script that loads the loadable by itself gets the defaults.
#pragma once

#include <string>
#include <vector>

namespace prewarm::launch {

struct Settings {
  bool stats = false;      // print the table at the end
  std::string stats_json;  // and write it as JSON to this file
  bool learn = true;       // use and keep profiles
  unsigned max_warm = 64;  // parked processes at any time
  bool clone = true;       // false: each parked process is exec'd on its own
  std::string script;      // identity of what runs, for the profile; empty: no profile
  std::string agent_path;  // empty: beside the loadable, or where it was installed
  // Declared commands (prewarm-coprocesses(5)): those that are coprocesses, and those that are not
  // though another declaration might say so. A name, or an absolute path.
  std::vector<std::string> coprocesses;
  std::vector<std::string> batch;
  std::string declarations;  // absolute path of the file that has them
  std::string command;       // absolute path of `prewarm`, which starts the owner of workers

  static constexpr const char* kVariable = "PREWARM_RUN";
  // "key=value" pairs, each ended by a newline; unknown keys are ignored.
  std::string to_text() const;
  static Settings from_text(const char* text);
};

}  // namespace prewarm::launch
