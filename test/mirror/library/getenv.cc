// SPDX-License-Identifier: MIT
//
// A library that reads a variable of the environment before main.
#include <cstdlib>
#include <cstring>

#include "report.h"

namespace {

char value[256] = "(not set)";

[[gnu::constructor]] void start() {
  const char* const found = std::getenv("MIRROR_CTOR");
  if (found != nullptr) std::strncpy(value, found, sizeof value - 1);
}

}  // namespace

extern "C" void mirror_library_report(void (*add)(void* to, const char* key, const char* value),
                                      void* to) {
  const char* const now = std::getenv("MIRROR_CTOR");
  add(to, "variable_before_main", value);
  add(to, "variable_in_main", now != nullptr ? now : "(not set)");
}
