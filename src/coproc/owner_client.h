// SPDX-License-Identifier: MIT
//
// Reaching the owner of this user's pools.
#pragma once

#include <string>

#include "coproc/client.h"
#include "os/result.h"

namespace prewarm::coproc {

// A connection to the owner, greeted. If nobody serves yet, starts `prewarm` (the command's file)
// as the owner, in the background, and waits until it serves; an empty `prewarm` starts nothing.
os::Result<Client> connect_to_owner(const std::string& prewarm);

}  // namespace prewarm::coproc
