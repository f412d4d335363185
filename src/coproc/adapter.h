// SPDX-License-Identifier: MIT
//
// What the adapters of `prewarm adapt` are told. An adapter is a Capers worker that drives a tool
// which speaks something else; each is a function that returns the exit status.
#pragma once

#include <string>
#include <vector>

namespace prewarm::coproc {

struct AdapterOptions {
  std::vector<std::string> options;  // between the protocol's name and --
  std::vector<std::string> command;  // the tool, at least its name
  std::string agent;                 // path of libprewarm-agent.so; empty: it isn't there
};

inline constexpr int kAdapterUsageError = 2;

}  // namespace prewarm::coproc
