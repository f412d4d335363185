// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a program inherits from the shell beside descriptors and environment.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <string>

#include "os/fd.h"

namespace prewarm::bash {

// Attributes that a parked process got when it was started, and that nobody changes at release:
// limits, priority, affinity, group, control group. As long as the shell's are the same, so are
// those of what it parked.
class Inherited {
 public:
  // Takes what holds now as the reference. `floor`: lowest number for own descriptors. False: not
  // all of it can be told.
  bool snapshot(int floor);
  bool unchanged() const;
  bool owns_descriptor(int fd) const;

 private:
  struct Values {
    rlimit limits[RLIM_NLIMITS];
    // The kernel's sched_attr: policy and its flags, priority, clamps.
    unsigned char schedule[56];
    int io_priority;
    pid_t group;
    long timer_slack;  // differs where a policy was reset on fork
    unsigned long affinity[16];
  };
  static void read(Values& values);

  Values values_{};
  os::Fd control_group_;
  os::Fd oom_score_;
  std::string control_group_text_;
  std::string oom_score_text_;
  pid_t of_ = 0;  // whose files these are: a forked child has others
};

// The dispositions that bash's child would have restored before an exec: bit n-1 is set if signal n
// would be ignored. `at_start` are the signals that the shell found ignored when it started.
std::uint64_t ignored_after_restore(std::uint64_t at_start);

// Signals that are ignored in this process now.
std::uint64_t ignored_now();

std::uint64_t mask_bits(const sigset_t& set);

}  // namespace prewarm::bash
