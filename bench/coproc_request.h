// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "bench/session.h"

namespace prewarm::bench {

// A tool that is served by a worker: `command` starts that.
struct Served {
  std::string name;  // of the variant
  std::string tool;
  std::vector<std::string> command;
};

// Requests by a driver in this process, one after the other, against launches of `cold`.
os::Result<Measured> measure_requests(const Session& session, const std::string& cold,
                                      const std::vector<Served>& served);

// One request to an idle worker in C, by a driver in this process, against a cold launch of the
// same program.
os::Result<Measured> measure_request(const Session& session);

}  // namespace prewarm::bench
