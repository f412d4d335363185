// SPDX-License-Identifier: MIT
//
// Waits for SIGINT, says so, and exits with 7: so that a shell knows that it was handled. With an
// argument it exits with 0 at once, to be parked.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void note(int number) { caught = number; }

int main(int argc, char** argv) {
  if (argc > 1) return strlen(argv[1]) == 0;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = note;
  sigaction(SIGINT, &action, NULL);
  while (!caught) pause();
  puts("child caught it");
  return 7;
}
