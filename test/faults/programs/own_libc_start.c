// SPDX-License-Identifier: MIT
//
// Has the usual entry code but a __libc_start_main of its own, which runs the program without
// asking anybody. Appends a line to NOTES each time.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const int fd = open(NOTES, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (fd >= 0 && write(fd, "run\n", 4) != 4) return 98;
  close(fd);
  const char* text = argc > 1 ? argv[1] : "no argument";
  if (write(1, text, strlen(text)) < 0 || write(1, "\n", 1) < 0) return 97;
  return 4;
}

__attribute__((visibility("default"))) int __libc_start_main(int (*function)(int, char**), int argc,
                                                             char** argv) {
  _exit(function(argc, argv));
}
