// SPDX-License-Identifier: MIT
//
// Stands where bash is looked for: says what it is given.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) printf("argument %s\n", argv[i]);
  for (const char** name = (const char*[]){"LD_PRELOAD", "PREWARM_RUN", NULL}; *name; ++name) {
    const char* value = getenv(*name);
    printf("%s is %s\n", *name, value == NULL ? "not set" : value);
  }
  return 6;
}
