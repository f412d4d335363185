// SPDX-License-Identifier: MIT
//
// A process of the command becomes a program without executing it: `prewarm exec` where the kernel
// lets it say which program it is (CAP_CHECKPOINT_RESTORE), and no security module or tracer would
// miss the exec. Saves an exec and all of ld.so's start.
//
// The code is in libprewarm-restore.so, whose ELF entry it is: the command's own file must not be
// mapped any more when the kernel is told of another. Restrictions: as restorer_core.h.
#pragma once

#include "image/restorer_process.h"

namespace prewarm::image {

struct DirectStart {
  InitialStack stack;                     // the command's own
  char** argv = nullptr;                  // the program's arguments: the end of the command's
  const char* path = nullptr;             // as it would be executed
  Descriptors descriptors;                // all close on exec
  int executable = -1;                    // of the program's file; one of those
  std::uint64_t code = 0, code_size = 0;  // where the object that this code is in has been mapped
};

// Returns if the image doesn't fit; nothing has happened then. If something fails later, the
// program is executed as usual.
using StartDirectly = void (*)(const DirectStart* start);

}  // namespace prewarm::image
