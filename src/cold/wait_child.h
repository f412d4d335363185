// SPDX-License-Identifier: MIT
//
// waitid(2) as this library needs it: of one child, by its pidfd if there is one, with its usage.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include "os/fd.h"

namespace prewarm::cold {

struct ChildEnd {
  int wait_status = 0;  // as waitpid(2) stores it
  rusage usage{};
};

// 1: it has ended, and has been waited for; 0: it runs still (only if not `block`); else -errno.
// A signal handler doesn't interrupt it.
int wait_child(pid_t pid, const os::Fd& pidfd, bool block, ChildEnd& end);

}  // namespace prewarm::cold
