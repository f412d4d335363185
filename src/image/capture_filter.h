// SPDX-License-Identifier: MIT
//
// Which system calls of a program that is being captured stop it: a stop costs more than most of
// the calls themselves, and 10,000 libraries make 90,000 of them.
#pragma once

#include "os/result.h"

namespace prewarm::image {

// For this process and what it becomes. What ld.so does to link, and what needn't be seen or
// changed, goes on; everything else stops for the tracer (PTRACE_O_TRACESECCOMP). Can't be taken
// back.
os::Result<void> install_capture_filter();

}  // namespace prewarm::image
