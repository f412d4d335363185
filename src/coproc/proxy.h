// SPDX-License-Identifier: MIT
//
// A process that stands for the invocation of a tool which a worker serves: whoever waits for it,
// signals it, or looks at its status, means the tool.
#pragma once

#include <vector>

#include "coproc/client.h"
#include "coproc/invocation.h"
#include "os/result.h"

namespace prewarm::coproc {

// An invocation as this process would make it by execve(2) of `path` now: with its directory and
// umask. A script is told its path in place of its name, as the kernel does it. An error if the
// directory has no path, or something in `env` is no variable.
os::Result<Invocation> invocation_from_here(const std::string& path, char* const* argv,
                                            char* const* env);

// Sends `invocation` with this process's descriptors 0 to 2 and waits for its end, while signals
// that this process gets, and doesn't ignore, are passed on; SIGTSTP, SIGTTIN and SIGTTOU stop
// both. Needs to be the only thread. Afterwards the signal mask is as before, and what was passed
// on in vain, because the tool was not run, has been raised again. An error: whether the tool has
// run isn't known, or only in part.
os::Result<Outcome> stand_for(Client& owner, const Invocation& invocation);

// Ends this process as the tool ended. `outcome` says that it was run.
[[noreturn]] void end_like(const Outcome& outcome);

}  // namespace prewarm::coproc
