// SPDX-License-Identifier: MIT
//
// The ways of starting a program that `prewarm bench spawn` compares, all behind one interface.
// Each looks for the program along PATH, gives it the caller's environment and descriptors 0 to 3,
// and, but for Command, changes nothing else. All of this runs in the caller
// (bench_spawn_caller.h).
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "os/result.h"
#include "park/pool.h"
#include "prewarm/spawn.h"

namespace prewarm::cli {

// What is started.
struct SpawnTarget {
  std::string name;
  std::string directory;  // the last one of PATH, and the only one that has it
};

// The processes that the way `parked` has ready. They outlive the way, as making them takes long.
class SpawnParking {
 public:
  // Parks `target` unless that was done before; its number in the pool.
  os::Result<unsigned> park(const SpawnTarget& target);
  park::Pool& pool() { return *pool_; }
  // Whether a child that has ended was one that was started, not one that was ready to be.
  bool was_started(pid_t pid, int status);

 private:
  std::unique_ptr<park::Pool> pool_;
};

class SpawnWay {
 public:
  virtual ~SpawnWay() = default;
  // Before a start that is timed by itself: what a caller finds who has paused.
  virtual os::Result<void> prepare() { return {}; }
  // Starts the program `count` times, and returns as soon as the caller may go on: there may be
  // nothing that could be waited for yet.
  virtual os::Result<void> start(unsigned count) = 0;
  // A child that it has started has ended, and was waited for.
  virtual void ended(pid_t) {}
  // Waits until something that was started has become a process.
  virtual os::Result<void> await_process() { return {}; }
  // Waits until all that was started has, and its program runs.
  virtual os::Result<void> settle() { return {}; }
};

struct SpawnWayKind {
  const char* name;       // in orders and JSON
  const char* label;      // for people
  unsigned most_at_once;  // that can be under way
  bool copies_memory;     // the caller's: it is slow if there is much
  bool ours;              // this project's
  // An error says why it can't be had here.
  os::Result<std::unique_ptr<SpawnWay>> (*make)(const SpawnTarget& target, SpawnParking& parking);
};
std::span<const SpawnWayKind> spawn_way_kinds();
const SpawnWayKind* find_spawn_way(std::string_view name);

os::Result<std::unique_ptr<SpawnWay>> make_ring_way(const RingOptions& options,
                                                    const SpawnTarget& target);
os::Result<std::unique_ptr<SpawnWay>> make_command_way(const SpawnTarget& target,
                                                       SpawnParking& parking);
os::Result<std::unique_ptr<SpawnWay>> make_parked_way(const SpawnTarget& target,
                                                      SpawnParking& parking);
// So many idle clones a pool keeps for one program at most; more would wait for each other.
inline constexpr unsigned kMostParkedAtOnce = 4;

// Numbers below are the program's; the caller's own descriptors aren't.
inline constexpr int kSpawnDescriptorFloor = 100;

}  // namespace prewarm::cli
