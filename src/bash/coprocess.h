// SPDX-License-Identifier: GPL-3.0-or-later
//
// Commands that are declared coprocesses: what the front door needs to know of them.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <vector>

#include "coproc/declarations.h"
#include "launch/settings.h"

namespace prewarm::bash {

// The declarations as far as settings have them: names, and which of them are no coprocesses.
coproc::Declarations declared_by(const launch::Settings& settings);

// What a program inherits from the shell and no worker would have: a script that has changed it
// gets a process of its own.
struct StartLimits {
  rlimit limits[RLIM_NLIMITS];
  int nice;

  static StartLimits now();
  bool operator==(const StartLimits& other) const;
};

// The descriptors above 2 that the shell was started with, and that its programs inherit: most are
// leaks of whoever started it, and a script that doesn't know them can't mean them.
class StartDescriptors {
 public:
  void note();
  // Whether `fd` is one of them still.
  bool has(int fd) const;

 private:
  struct Known {
    int fd;
    dev_t device;
    ino_t inode;
  };
  std::vector<Known> known_;
};

}  // namespace prewarm::bash
