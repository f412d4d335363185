// SPDX-License-Identifier: MIT
//
// LaunchRequest: everything that is needed to start a program, as data. Front doors build one and
// hand it to a rung of the ladder; a request refers to memory and descriptors of its maker, which
// must stay as they are until the launch has been taken.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "launch/wire.h"

namespace prewarm::launch {

// Descriptor `source` of the caller becomes descriptor `target` of the program, without
// close-on-exec.
struct Descriptor {
  int source;
  int target;
};

// A redirection or the like which the new process does by itself, in order, after its descriptors,
// working directory and umask are in place.
struct SetUp {
  OperationKind kind;
  int fd = -1;
  int other = -1;            // dup: the number that is copied
  int flags = 0;             // open: O_*
  mode_t mode = 0;           // open
  std::string path;          // open
  std::string error_prefix;  // open: what stands before "PATH: reason" when it fails
};

struct LaunchRequest {
  const char* path = nullptr;               // absolute; already searched for
  char* const* argv = nullptr;              // null-terminated, at least argv[0]
  char* const* env = nullptr;               // null-terminated, in the order the program will see
  std::span<const Descriptor> descriptors;  // ascending by target, no target twice
  int cwd = -1;                             // descriptor of the working directory (O_PATH will do)
  mode_t umask = 022;
  std::uint64_t signal_mask = 0;  // bit n-1 is signal n
  std::uint64_t signal_ignored = 0;
  std::optional<pid_t> process_group;  // unset: the parked process's own, that is, its owner's
  std::span<const SetUp> set_up;
  // For a program that is held at its ready point: where its own arguments begin. What stands
  // before is its interpreter's.
  std::uint32_t first_argument = 0;
};

// The wire form (see wire.h) of `request` for a slot in `generation`, into `bytes` (emptied first,
// capacity kept). False if a limit of the wire form is exceeded.
bool write_request(const LaunchRequest& request, std::uint32_t generation,
                   std::vector<char>& bytes);

}  // namespace prewarm::launch
