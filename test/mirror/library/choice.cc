// SPDX-License-Identifier: MIT
//
// Built twice, under one name in two directories: which one the loader took shows whether
// LD_LIBRARY_PATH was honoured.
#include "report.h"

extern "C" void mirror_library_report(void (*add)(void* to, const char* key, const char* value),
                                      void* to) {
  add(to, "choice", MIRROR_CHOICE);
}
