// SPDX-License-Identifier: MIT
//
// `prewarm nailgun`: serves this user's nailgun clients until a signal ends it.
#pragma once

#include <string>

namespace prewarm::cli {

struct NailgunListenOptions {
  std::string address = "127.0.0.1:2113";  // nailgun's own port
  unsigned idle_seconds = 0;               // 0: never
};

int nailgun(const NailgunListenOptions& options);

}  // namespace prewarm::cli
