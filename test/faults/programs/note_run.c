// SPDX-License-Identifier: MIT
//
// Appends its first argument to the file NOTES each time its main is run, prints it, and exits
// with the number that is its second argument: so that a run too many or too few is seen.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const char* text = argc > 1 ? argv[1] : "nothing";
  const int fd = open(NOTES, O_WRONLY | O_CREAT | O_APPEND, 0666);
  char line[256];
  snprintf(line, sizeof line, "%s\n", text);
  if (fd < 0 || write(fd, line, strlen(line)) < 0) return 99;
  close(fd);
  printf("ran %s\n", text);
  return argc > 2 ? atoi(argv[2]) : 0;
}
