// SPDX-License-Identifier: MIT
//
// The front's part of restorer_direct.h.
//
// Restrictions: as exec_front.h.
#pragma once

#include "image/map_client.h"
#include "image/restorer_process.h"

namespace prewarm::image {

// Whether the kernel and its security modules let this process do that.
bool may_start_directly();

// Whether somebody would miss the exec.
bool is_traced();

// Becomes the program without an exec, for which both must have been asked. `restorer`: the path of
// libprewarm-restore.so; `argv`: the end of the process's own. Returns if it can't be mapped.
void start_directly(const InitialStack& stack, const char* restorer, const char* path, char** argv,
                    const MappedImage& image);

}  // namespace prewarm::image
