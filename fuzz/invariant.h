// SPDX-License-Identifier: MIT
//
// What a fuzzer says must hold. Stops the process in every build, and says where.
#pragma once

#include <cstdio>
#include <cstdlib>

#define PREWARM_MUST(condition)                                                       \
  do {                                                                                \
    if (!(condition)) {                                                               \
      std::fprintf(stderr, "%s:%d: must hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                   \
    }                                                                                 \
  } while (false)
