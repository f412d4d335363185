// SPDX-License-Identifier: MIT
//
// A task that changes its user makes its memory *not dumpable* (prctl(2), PR_SET_DUMPABLE), so that
// the new user can't trace it and read there what the old one had. A task that shares the memory of
// the process does that to the process, too, for good: its /proc files belong to root, it leaves no
// core. So it is set right again, but only when no such task is left, as until then it protects.
#pragma once

namespace prewarm::cold {

// Around the life of a task that may change its identity, in shared memory.
void identity_begins();
void identity_ends();

}  // namespace prewarm::cold
