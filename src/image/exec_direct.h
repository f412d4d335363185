// SPDX-License-Identifier: MIT
//
// The front's part of restorer_direct.h.
//
// Restrictions: as exec_front.h.
#pragma once

#include "image/map_client.h"
#include "image/restorer_direct.h"
#include "image/restorer_process.h"

namespace prewarm::image {

// Whether the kernel and its security modules let this process do that.
bool may_start_directly();

// Whether somebody would miss the exec.
bool is_traced();

// The restorer's code, where it has been mapped.
struct DirectCode {
  StartDirectly entry = nullptr;  // null: it isn't
  std::uint64_t address = 0, size = 0;
};

// `restorer`: the path of libprewarm-restore.so.
DirectCode map_restorer(const char* restorer);

// Becomes the program without an exec, if may_start_directly() and not is_traced(). `argv`: the end
// of the process's own. Returns if the image doesn't fit.
void start_directly(const InitialStack& stack, const DirectCode& code, const char* path,
                    char** argv, const MappedImage& image);

}  // namespace prewarm::image
