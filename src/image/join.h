// SPDX-License-Identifier: MIT
//
// Fewer mappings for the same memory: each is a system call at every start, and something that fork
// and exit have to look at.
#pragma once

#include <vector>

#include "image/capture.h"
#include "os/result.h"

namespace prewarm::image {

// Joins `regions`, by address, where they lie together:
// * headers and code of a file that lie together there, too, become code: executable, as all of it
//   was before linkers kept headers apart;
// * regions with the same protection become one where that costs little: memory without contents
//   joins what is before it, and short pieces of files are taken into the image if something there
//   lies beside them. Code stays in its file.
// An error if a file can't be read.
os::Result<void> join_regions(std::vector<CapturedRegion>& regions);

// The pages of a file that the region consists of come to be in the image itself. An error if the
// file can't be read.
os::Result<void> take_in(CapturedRegion& region);

}  // namespace prewarm::image
