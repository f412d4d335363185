// SPDX-License-Identifier: MIT
//
// How a command is started that is to be held at its ready point: the program behind a name or a
// script, and where the arguments of an invocation go.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/result.h"

namespace prewarm::coproc {

struct ReadyCommand {
  std::string program;             // the ELF file that runs
  std::string start;               // what is executed: that, or a script that names it
  std::vector<std::string> words;  // argv as the program finds it
  // So many of them stand in front of the arguments of an invocation, the first of which is the
  // tool's name: all but the last, if nothing else is asked for. `python3 tool.py` and the
  // arguments `tool a b` make `python3 tool a b`.
  std::size_t kept = 0;
  // What this was made of.
  std::vector<std::string> command;
  std::string path;
  std::optional<std::size_t> keep;

  std::vector<std::string> with(const std::vector<std::string>& arguments) const;
  // The same for execve(2) of `start`, which needs the name of a script in its place.
  std::vector<std::string> to_start(const std::vector<std::string>& arguments) const;
};

inline constexpr char kUsualPath[] = "/usr/bin:/bin";  // without a PATH

// Follows the first line of a script once, and `env NAME` in there. `path` is the search path.
// `keep`: how many words of `command` are kept.
os::Result<ReadyCommand> resolve_ready_command(const std::vector<std::string>& command,
                                               const char* path, std::optional<std::size_t> keep);

}  // namespace prewarm::coproc
