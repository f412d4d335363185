// SPDX-License-Identifier: MIT
//
// The image rung of a cold launch: between fork and exec, the service is asked for an image of the
// program, and the exec is one that ends in it.
//
// Restrictions: for forked children too, of callers that may have been in the middle of anything:
// raw system calls only; no libc, no allocation, no errno, no thread-local data.
#pragma once

namespace prewarm::image {

// Becomes the program at `path` with these arguments and this environment, if the service has an
// image of it and starting from that takes less time. If it has none it makes one, unless the
// program has just been written itself. Returns if not: then it has to be executed as
// usual. All descriptors are as before then. `restorer`: the path of libprewarm-restore.so.
void exec_from_image(const char* restorer, const char* path, char* const* argv,
                     char* const* environment);

}  // namespace prewarm::image
