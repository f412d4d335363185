// SPDX-License-Identifier: MIT
//
// Which programs may be started from images, by their file alone.
#pragma once

#include <string>

#include "image/refusal.h"

namespace prewarm::image {

// ld.so as Debian's and everybody's glibc for x86-64 names it.
inline constexpr char kLoaderPath[] = "/lib64/ld-linux-x86-64.so.2";

// none: nothing speaks against it. The file is looked at as it is now.
Refusal check_program(const std::string& path);

}  // namespace prewarm::image
