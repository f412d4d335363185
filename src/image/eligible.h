// SPDX-License-Identifier: MIT
//
// Which programs may be started from images, by their file alone.
#pragma once

#include <string>

#include "image/refusal.h"

namespace prewarm::image {

// none: nothing speaks against it. The file is looked at as it is now.
Refusal check_program(const std::string& path);

}  // namespace prewarm::image
