// SPDX-License-Identifier: MIT
//
// The cold rung: a chain for each program, whose search along PATH is a row of execs. The chain is
// made once, as a program that starts the same again and again would; nobody waits for completions.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "cli/bench_spawn_ways.h"

namespace prewarm::cli {
namespace {

class RingWay : public SpawnWay {
 public:
  RingWay(SpawnRing ring, const SpawnTarget& target)
      : ring_(std::move(ring)), name_(target.name), argv_{name_.data(), nullptr} {
    const char* variable = std::getenv("PATH");
    const std::string search = variable == nullptr ? target.directory : variable;
    for (std::size_t at = 0; at <= search.size();) {
      const auto end = std::min(search.find(':', at), search.size());
      paths_.push_back(search.substr(at, end - at) + "/" + name_);
      at = end + 1;
    }
    // As the other ways give it: a child to be waited for, and no descriptor.
    chain_.push_back(op::clone({.pidfd = false}).tag(kClone));
    for (const std::string& path : paths_) {
      chain_.push_back(op::exec(path.c_str(), argv_, environ).tag(kExec));
    }
    chain_.back().user_data = kLastExec;
  }

  os::Result<void> start(unsigned count) override {
    if (auto taken = take(ring_.reap(completions_)); !taken) return taken;
    for (unsigned i = 0; i < count; ++i) {
      if (ring_.push_chain(chain_)) continue;
      if (auto handed = ring_.submit(); !handed) return std::unexpected(handed.error());
      if (!ring_.push_chain(chain_)) return os::failed_with(0, "fill the ring", name_);
    }
    if (auto handed = ring_.submit(); !handed) return std::unexpected(handed.error());
    return {};
  }

  os::Result<void> await_process() override {
    const auto count = ring_.wait(completions_, kPatienceMs);
    if (!count) return std::unexpected(count.error());
    if (*count == 0) return os::failed_with(0, "wait for a completion", name_);
    return take(*count);
  }

  os::Result<void> settle() override {
    while (ring_.outstanding() > 0) {
      if (auto done = await_process(); !done) return done;
    }
    return {};
  }

 private:
  enum Tag : std::uint64_t { kClone, kExec, kLastExec };
  static constexpr int kPatienceMs = 10'000;
  static constexpr std::size_t kTakenAtOnce = 64;

  // Any exec but the last may fail: the program is found by another one of its row.
  os::Result<void> take(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      const Completion& c = completions_[i];
      if (c.result >= 0 || c.result == -ECANCELED || c.user_data == kExec) continue;
      return os::failed_with(-c.result, c.user_data == kClone ? "clone" : "exec", name_);
    }
    return {};
  }

  SpawnRing ring_;
  std::string name_;
  char* argv_[2];
  std::vector<std::string> paths_;
  std::vector<Operation> chain_;
  Completion completions_[kTakenAtOnce];
};

}  // namespace

os::Result<std::unique_ptr<SpawnWay>> make_ring_way(const RingOptions& options,
                                                    const SpawnTarget& target) {
  if (auto usable = probe(options.backend); !usable) return std::unexpected(usable.error());
  auto ring = SpawnRing::create(options);
  if (!ring) return std::unexpected(ring.error());
  return std::make_unique<RingWay>(std::move(*ring), target);
}

}  // namespace prewarm::cli
