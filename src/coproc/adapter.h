// SPDX-License-Identifier: MIT
//
// Adapters: Capers workers (docs/protocol/capers.md) that drive a tool which speaks something else,
// so that whoever owns pools needs to speak only Capers. Each runs in a process of its own, started
// as `prewarm adapt PROTOCOL [OPTIONS] -- COMMAND`, and returns its exit status.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace prewarm::coproc {

struct AdapterOptions {
  std::vector<std::string> command;  // the tool and its arguments
  unsigned start_seconds = 30;       // it must have answered `version` after that time
  bool takes_stdin = true;           // else its standard input is empty
  // Bazel's workers only.
  unsigned multiplex = 1;      // requests at a time
  bool can_cancel = false;     // the worker understands `cancel`
  bool argument_file = false;  // it gets its arguments as a file, one in a line: @FILE
  bool output_to_stdout = false;
  mode_t umask = 022;  // that of all requests
  // Ready points only: see adapter_ready.h.
  std::optional<std::size_t> keep{};
  std::string agent{};  // path of libprewarm-agent.so; empty: it isn't there
};

// Of an adapter that was not started as a Capers worker (CAPERS_FD).
inline constexpr int kNoWorkerStatus = 2;

int adapt_fcli(const AdapterOptions& options);
int adapt_bazel_json(const AdapterOptions& options);
int adapt_bazel_proto(const AdapterOptions& options);

}  // namespace prewarm::coproc
