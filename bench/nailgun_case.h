// SPDX-License-Identifier: MIT
#pragma once

#include "bench/session.h"

namespace prewarm::bench {

// The same Java class by Debian's nailgun, and by a worker of our pools.
os::Result<Measured> measure_nailgun(const Session& session);

}  // namespace prewarm::bench
