// SPDX-License-Identifier: MIT
//
// Children for which nobody will wait any more: only this process can, so the library does it.
//
// They are looked at whenever another child is started or left, and not by a thread or a SIGCHLD
// handler: those would be the whole program's business. So a few may be zombies for a while, but
// never more than were left since the last look.
#pragma once

#include <sys/types.h>

#include "os/fd.h"

namespace prewarm::cold {

// Takes over the duty to wait for a child. `pidfd` may be invalid where there are none.
void leave_child(pid_t pid, os::Fd pidfd);

// Waits for those that have ended. Never blocks.
void reap_left_children();

}  // namespace prewarm::cold
