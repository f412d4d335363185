// SPDX-License-Identifier: MIT
//
// What the programs here print: one line for each thing observed, nothing that changes from start
// to start, so that the output of two starts can be compared.
#pragma once

#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

// The last part of a path; "(none)" for a null pointer.
static inline const char* last_part(const char* path) {
  if (path == NULL) return "(none)";
  const char* slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

#ifdef __cplusplus
}
#endif
