// SPDX-License-Identifier: MIT
#include <cerrno>

#include "cold/backend.h"

namespace prewarm::cold {

Started start_posix_spawn(Chain&) { return {-EOPNOTSUPP, Fd(), false}; }

}  // namespace prewarm::cold
