// SPDX-License-Identifier: MIT
//
// What the parts of the C interface (prewarm/prewarm.h) share.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "prewarm/prewarm.h"
#include "prewarm/result.h"
#include "prewarm/spawn.h"

namespace prewarm::cold {

Operation from_c(const prewarm_operation& operation);
// Whether it can be one that this library made.
bool is_operation(const prewarm_operation& operation);

// The options of a caller that may have been compiled with an older or newer header: `defaults`,
// and as much of the caller's as both know.
template <class Options>
Options take_options(const Options* given, Options defaults) {
  if (given == nullptr) return defaults;
  std::memcpy(&defaults, given, std::min(given->size, sizeof defaults));
  return defaults;
}

// A failure in the C interface's form. There is always an errno, as Error has none only where no
// system call was involved.
inline int to_c(const Error& error) { return error.code > 0 ? -error.code : -EINVAL; }

}  // namespace prewarm::cold
