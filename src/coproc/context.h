// SPDX-License-Identifier: MIT
//
// What bounds a process other than its user: whoever is shut in must not be served from outside.
#pragma once

#include <sys/types.h>

#include <string>

namespace prewarm::coproc {

// Namespaces, root directory, groups, capabilities, seccomp and no_new_privs of a process, as a
// text that is the same for two processes if all of these are. Empty: it can't be found out. Not in
// it: control groups, limits and priorities, which nobody is shut in by.
std::string context_of(pid_t pid);

}  // namespace prewarm::coproc
