// SPDX-License-Identifier: MIT
//
// Starts a program that is to park: a child which shares the caller's memory until its exec, so
// that nothing is copied and the caller doesn't wait.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace prewarm::park {

// All that the child reads; prepared before it starts, and kept until it has exec'd.
struct SpawnBlock {
  std::string path;
  std::vector<std::string> strings;  // owned environment strings
  std::vector<char*> argv;
  std::vector<char*> env;
  std::unique_ptr<char[]> stack;
  int null_fd;
  int table_fd;
  int control_fd;
};

// Environment and arguments of a program that is to park.
void prepare_parked(SpawnBlock& block, const char* path, char* const* env,
                    const std::string& agent_path, unsigned index, bool may_clone);

// Starts it; all signals are blocked in it. The pid, or -errno.
pid_t spawn_parked(SpawnBlock& block);

}  // namespace prewarm::park
