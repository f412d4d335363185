// SPDX-License-Identifier: MIT
//
// Says its argument, and whether it has more rights than whoever started it. Appends a line to
// NOTES each time it is run.
#include <fcntl.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const int fd = open(NOTES, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd >= 0 && write(fd, "run\n", 4) != 4) return 98;
  close(fd);
  printf("%s as %d/%d, secure %d\n", argc > 1 ? argv[1] : "no argument", getuid() == geteuid(),
         geteuid() == 0, getauxval(AT_SECURE) != 0);
  return 4;
}
