// SPDX-License-Identifier: MIT
//
// How a worker for a request is started, and which requests can share workers. Reads files, starts
// nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "coproc/declarations.h"
#include "coproc/invocation.h"

namespace prewarm::coproc {

struct StartPlan {
  std::string key;                       // what has the same key can be served by the same worker
  std::string program;                   // of the request
  std::string files;                     // identifies the files of program and command
  std::vector<std::string> command;      // what is started: absolute path and arguments
  std::vector<std::string> environment;  // in which
  std::string directory;                 // and where
  Declaration declaration;               // as it holds for this request
  std::string affinity;                  // of this request; not part of the key
};

// What the text of a tool says about itself: which protocol it serves by a prewarm SDK, or with the
// protocol's own variables. `batch`: nothing.
Protocol protocol_in_text(std::string_view text);

class Planner {
 public:
  // `prewarm`: the command's own file, for adapters.
  explicit Planner(std::string prewarm) : prewarm_(std::move(prewarm)) {}

  // The outcome, if there is no plan, is not_run with its reason.
  std::expected<StartPlan, Outcome> plan(const Invocation& invocation);
  // Of the user's own file, as it was last read.
  const Limits& limits() const { return limits_; }

 private:
  struct File {
    std::string identity;
    Declarations declarations;
    std::string error;
  };
  struct Text {
    std::string identity;
    Protocol protocol;
  };

  std::expected<const Declarations*, Outcome> declarations(const std::string& path);
  Protocol protocol_of(const std::string& program);
  bool choose_command(const Invocation& invocation, StartPlan& plan);

  std::string prewarm_;
  Limits limits_;
  std::map<std::string, File> files_;
  std::map<std::string, Text> texts_;
};

}  // namespace prewarm::coproc
