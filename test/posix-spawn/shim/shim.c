// SPDX-License-Identifier: MIT
//
// What glibc's test driver expects of its own build, or does by glibc's internals.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <support/check.h>
#include <support/support.h>
#include <support/xunistd.h>
#include <unistd.h>

const char support_objdir_root[] = "/tmp";

char* xreadlink(const char* path) {
  char target[4096];
  const ssize_t size = readlink(path, target, sizeof target);
  if (size < 0 || size == sizeof target) FAIL_EXIT1("readlink (%s): %m", path);
  char* const copy = xmalloc((size_t)size + 1);
  memcpy(copy, target, (size_t)size);
  copy[size] = '\0';
  return copy;
}
