// SPDX-License-Identifier: MIT
//
// The subcommands of `prewarm`. Each returns the exit status.
#pragma once

#include <string>
#include <vector>

#include "coproc/adapter.h"

namespace prewarm::cli {

inline constexpr int kUsageError = 2;

struct RunOptions {
  bool stats = false;
  std::string stats_json;
  bool no_learn = false;
  unsigned max_warm = 64;
  bool exec_isolation = false;
  bool any_interpreter = false;        // --bash: whatever the script's first line says
  bool is_command = false;             // -c
  std::vector<std::string> arguments;  // script and its arguments; for -c the text comes first
};

struct AdaptOptions {
  std::string protocol;
  coproc::AdapterOptions adapter;
};

int run(const RunOptions& options);
int plan(const std::string& script, bool json);
int adapt(const AdaptOptions& options);
int doctor(const std::vector<std::string>& programs, bool json);

// "prewarm: TEXT" on standard error.
void complain(const std::string& text);

}  // namespace prewarm::cli
