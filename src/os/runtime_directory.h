// SPDX-License-Identifier: MIT
//
// Where a user's sockets and FIFOs are.
#pragma once

#include <string>

#include "os/result.h"

namespace prewarm::os {

// $PREWARM_RUNTIME_DIR; else $XDG_RUNTIME_DIR/prewarm; else /run/user/UID/prewarm if that user's
// directory exists; else /tmp/prewarm-UID. It is made (mode 0700) if it isn't there. An error if it
// isn't this user's, or others can enter it.
Result<std::string> runtime_directory();

}  // namespace prewarm::os
