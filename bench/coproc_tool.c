/* SPDX-License-Identifier: MIT
 *
 * A small tool that can stay: prints its arguments. */
#include <stdio.h>

#include "prewarm_worker.h"

static int print(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) puts(argv[i]);
  return 0;
}

int main(int argc, char** argv) { return prewarm_serve(argc, argv, print); }
