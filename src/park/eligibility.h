// SPDX-License-Identifier: MIT
//
// Which programs may be parked, decided from their file alone.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "launch/reason.h"
#include "park/table.h"

namespace prewarm::park {

// How a program is held ready.
enum class Isolation {
  clone,  // one zygote, cloned for each launch; the clones share their address layout
  exec,   // each parked process is exec'd on its own
};

struct Eligibility {
  launch::Reason reason = launch::Reason::none;  // none: it may be parked
  Isolation isolation = Isolation::clone;        // the default for this program
  os::FileIdentity identity;                     // of the file that was looked at
  // It could find out who its parent is: it imports getppid or names files under /proc.
  bool asks_parent = true;
  // Directories of its own in which it looks for libraries before the system's: what appears there
  // changes what it links.
  std::vector<std::string> search_directories;
};

// Looks at the program at `path` (absolute). Parks only what lies in directories of installed
// software: the system's, or one of the colon-separated `more_directories`.
Eligibility check_program(const char* path, const char* more_directories);

// Whether the ELF file at `path`, a library, has a search path of its own (RPATH or RUNPATH).
bool has_own_search_path(const char* path);

// Identity of the file at `path`, symbolic links followed. False if there is none.
bool identify_file(const char* path, os::FileIdentity& identity);

}  // namespace prewarm::park
