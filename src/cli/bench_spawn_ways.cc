// SPDX-License-Identifier: MIT
#include "cli/bench_spawn_ways.h"

#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace prewarm::cli {
namespace {

constexpr unsigned kAny = ~0U;

// ---- The C library's ---------------------------------------------------------------------------

// fork, vfork, posix_spawnp: one call for each program.
class CallWay : public SpawnWay {
 public:
  using Call = pid_t (*)(const char* name, char* const* argv);
  CallWay(const char* what, const SpawnTarget& target, Call call)
      : what_(what), name_(target.name), argv_{name_.data(), nullptr}, call_(call) {}

  os::Result<void> start(unsigned count) override {
    for (unsigned i = 0; i < count; ++i) {
      if (call_(name_.c_str(), argv_) < 0) return os::failed(what_, name_);
    }
    return {};
  }

 private:
  const char* what_;
  std::string name_;
  char* argv_[2];
  Call call_;
};

pid_t call_fork(const char* name, char* const* argv) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execvp(name, argv);
    ::_exit(127);
  }
  return pid;
}

pid_t call_vfork(const char* name, char* const* argv) {
  const pid_t pid = ::vfork();  // NOLINT(bugprone-unsafe-functions): it is what is measured
  if (pid == 0) {
    ::execvp(name, argv);
    ::_exit(127);
  }
  return pid;
}

pid_t call_posix_spawn(const char* name, char* const* argv) {
  pid_t pid = -1;
  errno = ::posix_spawnp(&pid, name, nullptr, nullptr, argv, environ);
  return errno == 0 ? pid : -1;
}

// ---- All of them -------------------------------------------------------------------------------

using Made = os::Result<std::unique_ptr<SpawnWay>>;

template <Backend backend, bool own_task>
Made make_ring(const SpawnTarget& target, SpawnParking&) {
  RingOptions options;
  options.backend = backend;
  options.own_task = own_task;
  return make_ring_way(options, target);
}
// Its task doesn't sleep between one spawn and the next.
Made make_awake_ring(const SpawnTarget& target, SpawnParking&) {
  RingOptions options;
  options.backend = Backend::shared_memory;
  options.awake_us = 5000;
  return make_ring_way(options, target);
}

Made make_fork(const SpawnTarget& target, SpawnParking&) {
  return std::make_unique<CallWay>("fork", target, call_fork);
}
Made make_vfork(const SpawnTarget& target, SpawnParking&) {
  return std::make_unique<CallWay>("vfork", target, call_vfork);
}
Made make_posix_spawn(const SpawnTarget& target, SpawnParking&) {
  return std::make_unique<CallWay>("posix_spawn", target, call_posix_spawn);
}

constexpr SpawnWayKind kKinds[] = {
    {"fork", "fork", kAny, true, false, make_fork},
    {"vfork", "vfork", kAny, false, false, make_vfork},
    {"posix_spawn", "posix_spawn", kAny, false, false, make_posix_spawn},
    {"ring", "ring", kAny, false, true, make_ring<Backend::shared_memory, true>},
    {"ring-awake", "ring, awake", kAny, false, true, make_awake_ring},
    {"ring-direct", "ring, no task", kAny, false, true, make_ring<Backend::shared_memory, false>},
    {"ring-vfork", "ring by vfork", kAny, false, true, make_ring<Backend::vfork, false>},
    {"ring-fork", "ring by fork", kAny, true, true, make_ring<Backend::fork, false>},
    {"ring-posix-spawn", "ring by posix_spawn", kAny, false, true,
     make_ring<Backend::posix_spawn, false>},
    {"ring-io-uring", "ring by io_uring", kAny, false, true, make_ring<Backend::io_uring, true>},
    {"command", "Command", kAny, false, true, make_command_way},
    {"parked", "parked", kMostParkedAtOnce, false, true, make_parked_way},
};

}  // namespace

std::span<const SpawnWayKind> spawn_way_kinds() { return kKinds; }

const SpawnWayKind* find_spawn_way(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &SpawnWayKind::name);
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace prewarm::cli
