// SPDX-License-Identifier: MIT
//
// A library that appends the name of each program that it is loaded into to the file NOTES.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

__attribute__((constructor)) static void note(void) {
  const int fd = open(NOTES, O_WRONLY | O_APPEND);
  if (fd < 0) return;
  dprintf(fd, "%s\n", program_invocation_short_name);
  close(fd);
}
