// SPDX-License-Identifier: MIT
//
// A caller (bench_spawn_caller.h) from outside: a process that is asked to start programs, and
// says how long that took. It ends with this object.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "cli/bench_spawn_caller.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::cli {

class SpawnCaller {
 public:
  // `path` is its PATH, and all of its environment.
  static os::Result<SpawnCaller> start(const SpawnCallerOptions& options, const std::string& path);
  SpawnCaller(SpawnCaller&& other) noexcept;
  SpawnCaller& operator=(SpawnCaller&&) = delete;
  ~SpawnCaller();

  // An empty string, or why this way can't be had there.
  os::Result<std::string> check(const std::string& way, const std::string& program);
  // Times of `count` starts, in µs: [metric][start].
  os::Result<std::vector<std::vector<double>>> time(const std::string& way,
                                                    const std::string& program, unsigned count);
  // µs per start.
  os::Result<double> rate(const std::string& way, const std::string& program, unsigned outstanding,
                          unsigned count);

 private:
  SpawnCaller(os::Fd channel, pid_t pid) : channel_(std::move(channel)), pid_(pid) {}
  // Sends an order. Returns what follows "no" in the answer's first line; nothing after "ok".
  os::Result<std::string> order(const std::string& text);
  os::Result<std::string> read_line();

  os::Fd channel_;
  pid_t pid_;
  bool broken_ = false;  // it may not notice the end of its input
  std::string unread_;
};

}  // namespace prewarm::cli
