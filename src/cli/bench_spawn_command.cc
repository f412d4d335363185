// SPDX-License-Identifier: MIT
//
// Command, as it is used by somebody who wants a child and thinks of nothing: it searches PATH and
// makes its plan anew each time, and gives a pidfd. It closes all descriptors but those named.
#include <algorithm>
#include <vector>

#include "cli/bench_spawn_ways.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

constexpr int kClockFd = 3;

class CommandWay : public SpawnWay {
 public:
  explicit CommandWay(const SpawnTarget& target) : command_(target.name) {
    command_.inherit(kClockFd);
  }

  os::Result<void> start(unsigned count) override {
    for (unsigned i = 0; i < count; ++i) {
      auto process = command_.spawn();
      if (!process) return std::unexpected(process.error());
      running_.push_back(std::move(*process));
    }
    return {};
  }

  void ended(pid_t pid) override {
    const auto found = std::ranges::find_if(running_, [&](Process& p) { return p.pid() == pid; });
    if (found == running_.end()) return;
    (void)found->wait();  // so that it knows
    running_.erase(found);
  }

 private:
  Command command_;
  std::vector<Process> running_;
};

}  // namespace

os::Result<std::unique_ptr<SpawnWay>> make_command_way(const SpawnTarget& target, SpawnParking&) {
  return std::make_unique<CommandWay>(target);
}

}  // namespace prewarm::cli
