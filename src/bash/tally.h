// SPDX-License-Identifier: GPL-3.0-or-later
//
// What was launched how, counted in memory that the shell shares with its subshells: the source of
// --stats, of the learned profile, and of the decision what to park.
#pragma once

#include <atomic>
#include <cstdint>

#include "launch/reason.h"

namespace prewarm::bash {

enum class Rung : std::uint32_t { direct, brokered, coprocess, cold };
inline constexpr unsigned kRungs = 4;

struct CommandTally {
  std::atomic<std::uint32_t> state;  // 0 free, 1 being written, 2 valid
  char path[244];                    // as found by the PATH search, or the name if not found
  std::atomic<std::uint32_t> launches[kRungs];  // by Rung
  std::atomic<std::uint32_t> reasons[static_cast<unsigned>(launch::Reason::count_)];
  std::atomic<std::uint32_t> timed[kRungs];  // launches whose time from fork to wait was taken
  std::atomic<std::uint64_t> elapsed_ns[kRungs];
  std::atomic<std::uint32_t> main_launches;  // called for by the main shell, not a subshell
};

class Tally {
 public:
  static constexpr unsigned kMaxCommands = 256;

  bool create();
  bool created() const { return commands_ != nullptr; }
  // The entry of `path`, made if need be; null if there is no room or the path is too long.
  CommandTally* find(const char* path);
  void add_time(const char* path, Rung rung, std::uint64_t ns);
  void count(const char* path, Rung rung, launch::Reason reason, bool main_shell);
  unsigned size() const;
  const CommandTally& at(unsigned i) const { return commands_[i]; }
  // How often `path` was launched so far.
  std::uint32_t launches(const char* path);

 private:
  CommandTally* commands_ = nullptr;
};

}  // namespace prewarm::bash
