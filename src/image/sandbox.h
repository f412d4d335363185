// SPDX-License-Identifier: MIT
//
// What the loader service may still do once it serves: no_new_privs, Landlock, seccomp. See
// docs/security.md for what that is good for.
#pragma once

#include <string>
#include <vector>

#include "os/result.h"

namespace prewarm::image {

struct SandboxOptions {
  std::vector<std::string> read_directories;   // beneath which files may be read
  std::vector<std::string> write_directories;  // and written, made and removed
  bool kill = false;  // a system call that isn't on the list ends the process (for tests)
};

struct SandboxReport {
  bool no_new_privileges = false;
  int landlock = 0;             // the kernel's ABI that is used; 0: there is no Landlock
  bool network_denied = false;  // by Landlock: TCP, from ABI 4 on
  bool signals_scoped = false;  // by Landlock, from ABI 6 on
  bool seccomp = false;
  std::vector<std::string> notes;  // what is not active, and why

  // Lines for people.
  std::string text() const;
};

// Directories that libraries are read from by default.
std::vector<std::string> library_directories();

// For the calling process, which must have one thread, and all that it starts. What the kernel
// doesn't have is left out, and said in the report. An error: something failed that it has.
os::Result<SandboxReport> enter_sandbox(const SandboxOptions& options);

}  // namespace prewarm::image
