// SPDX-License-Identifier: MIT
#include "findprog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char* find_in_path(const char* program) {
  const char* path = getenv("PATH");
  for (; path != NULL && *path != '\0'; path += strspn(path, ":")) {
    const int length = (int)strcspn(path, ":");
    char* name = NULL;
    if (asprintf(&name, "%.*s/%s", length, path, program) < 0) abort();
    if (access(name, X_OK) == 0) return name;
    free(name);
    path += length;
  }
  return program;
}
