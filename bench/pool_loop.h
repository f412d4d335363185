// SPDX-License-Identifier: MIT
//
// Loops of invocations of tools that stay, or don't. The loop is timed inside a script, by
// EPOCHREALTIME; each run has an owner of pools of its own, which is started before the loop and
// has ended when the script ends.
#pragma once

#include <string>
#include <vector>

#include "bench/session.h"

namespace prewarm::bench {

struct PoolLoop {
  std::string name;                // of the variant, and of its script
  std::vector<std::string> shell;  // the script follows
  std::string first;               // once before, not timed
  std::string loop;                // does the invocations: the script's argument $1 is how many
  unsigned invocations = 1;
  unsigned most_started = 0;  // workers; 0: none is expected
  std::string last{};         // once after, not timed
};

// A loop that runs `command` $1 times.
std::string repeated(const std::string& command);

// What the tools of a case need.
class Tools {
 public:
  explicit Tools(const Session& session);

  // How many invocations of what is warm, and of what is not.
  unsigned warm() const;
  unsigned batch() const;
  // An executable file of the case's own; its path.
  os::Result<std::string> executable(const std::string& name, const std::string& text) const;
  // The user's declarations of coprocesses.
  os::Result<void> declare(const std::string& text) const;

  // A sample of each is the time per invocation, in us.
  os::Result<Measured> measure(const std::vector<PoolLoop>& loops,
                               const std::string& note = {}) const;

 private:
  os::Result<Variant> variant(const PoolLoop& loop) const;

  const Session& session_;
  std::vector<std::string> environment_;
};

}  // namespace prewarm::bench
