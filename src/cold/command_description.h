// SPDX-License-Identifier: MIT
//
// What a Command has been told, as data.
#pragma once

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "prewarm/command.h"

namespace prewarm::cold {

struct CommandDescription {
  std::string program;
  std::optional<std::string> argv0;
  std::vector<std::string> arguments;

  bool clean_environment = false;
  std::map<std::string, std::optional<std::string>> variables;  // no value: unset

  std::array<std::optional<Stdio>, 3> streams;  // nothing: not said
  std::vector<Inherited> inherited;

  std::string directory;  // empty: the caller's
  Signals signals = Signals::usual;
  std::vector<Operation> setup;
  int namespaces = 0;
  int cgroup = -1;

  std::optional<std::chrono::milliseconds> timeout;
  bool kill_on_drop = false;
  bool kill_group = false;

  std::optional<Error> mistake;  // the first bad argument
};

}  // namespace prewarm::cold
