// SPDX-License-Identifier: MIT
//
// Fills a user's number of tasks: starts COUNT threads, writes a line, and holds them until
// standard input ends.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void* hold(void* unused) {
  pause();
  return unused;
}

int main(int argc, char** argv) {
  const int count = argc > 1 ? atoi(argv[1]) : 0;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  for (int i = 0; i < count; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, hold, NULL) != 0) {
      fprintf(stderr, "only %d threads\n", i);
      return 1;
    }
  }
  puts("holding");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}
