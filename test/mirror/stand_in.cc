// SPDX-License-Identifier: MIT
//
// Takes the place of the prewarm command while the mirror is worked on alone: `stand-in run ARGS`
// is `bash ARGS`. Not a shell script, because a shell changes what it was given (ignored SIGCHLD,
// variables whose names it doesn't like).
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  char name[] = "bash";
  argv[1] = name;
  execvp(name, argv + 1);
  std::perror(name);
  return 127;
}
