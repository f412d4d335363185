// SPDX-License-Identifier: MIT
#pragma once

#include "bench/session.h"

namespace prewarm::bench {

// One request to an idle worker in C, by a driver in this process, against a cold launch of the
// same program.
os::Result<Measured> measure_request(const Session& session);

}  // namespace prewarm::bench
