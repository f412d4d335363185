// SPDX-License-Identifier: MIT
//
// Starts a program by a child that shares the caller's memory until its exec (CLONE_VM without
// CLONE_VFORK): nothing is copied, and the caller goes on while the exec is under way.
//
// The one thing that the caller waits for is that the child has let go of the caller's descriptors.
// Until then it would hold copies of them, and somebody might wait in vain for the end of a pipe
// that the caller has closed meanwhile, or meet the wrong partner at a fifo.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace prewarm::os {

// Everything that the child reads. It must stay where it is until the program has been exec'd,
// which nobody announces: keep it for as long as that may take.
struct SharedSpawn {
  std::string path;
  std::vector<std::string> strings;  // what argv and env point to
  std::vector<char*> argv;           // null-terminated
  std::vector<char*> env;            // null-terminated
  // The program's descriptor i is a copy of the caller's descriptor descriptors[i]; it has no
  // others. The caller's must have higher numbers than any of the program's.
  std::vector<int> descriptors;
  const char* directory = nullptr;  // working directory; null: the caller's
  bool block_signals = false;       // start with every signal blocked; else with none
  bool default_signals = false;     // and with none ignored
  bool background = false;          // see os/scheduling.h

  // The strings of a null-terminated environment, copied, behind what `env` has already.
  void append_environment(char* const* strings, bool (*wanted)(const char*) = nullptr);
  void terminate();

  static constexpr std::size_t kStackBytes = 16384;
  std::atomic<std::uint32_t> detached{0};
  alignas(16) char stack[kStackBytes];
};

// The pid, or -errno.
pid_t spawn_shared(SharedSpawn& spawn);

}  // namespace prewarm::os
