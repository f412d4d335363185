// SPDX-License-Identifier: MIT
//
// What this process has and passes on to those that work for it.
#pragma once

#include <sys/types.h>

#include <string>

namespace prewarm::os {

// Can only be asked by setting it to 0 for a moment: no other thread may make files then.
mode_t current_umask();

// Absolute path of the working directory. Empty, with errno set: it has none that could be told
// (it was removed, or its path is longer than PATH_MAX).
std::string working_directory();

// `path` seen from there, otherwise as it is. Empty, with errno set: it is relative, and there is
// no such directory.
std::string absolute_path(const std::string& path);

}  // namespace prewarm::os
