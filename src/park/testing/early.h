// SPDX-License-Identifier: MIT
//
// For tests only: what early.cc, the program that acts before its main, tells of it in its main.
#pragma once

#include <sys/types.h>

namespace prewarm::park {

inline constexpr char kEarlyVariable[] = "PREWARM_TEST_EARLY";  // what it is to do
inline constexpr char kSeenVariable[] = "PREWARM_TEST_SEEN";    // which it looks at
inline constexpr int kReportFd = 9;                             // where it tells

struct BeforeMain {
  int prepared = 0;
  int in_parent = 0;
  int in_child = 0;
  bool saw_preload = false;
  bool saw_orders = false;
  bool has_read = false;
  pid_t pid = 0;
  char seen[32] = "";
};

}  // namespace prewarm::park
