// SPDX-License-Identifier: MIT
//
// Owned descriptors (prewarm/fd.h), and where they are put inside a host program.
#pragma once

#include "prewarm/fd.h"

namespace prewarm::os {

using prewarm::Fd;

// Moves `fd` to the lowest free number not below `floor`, with close-on-exec; for descriptors that
// live inside a host program (a shell) whose own small numbers must stay free. On failure it is
// closed, and the result invalid.
Fd move_above(Fd fd, int floor);

}  // namespace prewarm::os
