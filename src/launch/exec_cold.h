// SPDX-License-Identifier: MIT
//
// The last resort for a request in wire form: set up this process as it says, and exec. Allocates
// nothing: whoever forked this process may have been in a signal handler, in the middle of malloc.
#pragma once

#include <span>

#include "launch/wire.h"

namespace prewarm::launch {

// For a forked child. `descriptors` are the sources in the order of the request's targets, the
// working directory last. Doesn't return: 126/127 if the exec fails, 1 if an operation does.
[[noreturn]] void exec_cold(const char* path, const RequestView& request,
                            std::span<const int> descriptors);

}  // namespace prewarm::launch
