// SPDX-License-Identifier: MIT
//
// With an argument: prints its pid and is ended by the signal of that number.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2) return 0;
  printf("pid %d\n", (int)getpid());
  fflush(stdout);
  raise(atoi(argv[1]));
  return 0;
}
