// SPDX-License-Identifier: MIT
//
// Where a user's sockets and FIFOs are.
#pragma once

#include <string>

#include "os/result.h"

namespace prewarm::coproc {

// $PREWARM_RUNTIME_DIR; else $XDG_RUNTIME_DIR/prewarm; else /run/user/UID/prewarm if that user's
// directory exists; else /tmp/prewarm-UID. It is made (mode 0700) if it isn't there. An error if it
// isn't this user's, or others can enter it.
os::Result<std::string> runtime_directory();

// The socket of the owner of this user's pools, in that directory.
std::string pool_socket_path(const std::string& directory);

}  // namespace prewarm::coproc
