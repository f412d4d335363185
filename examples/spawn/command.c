/* SPDX-License-Identifier: MIT
 *
 * Command from C: upper-cases a text by tr(1), within a second.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>

#include "prewarm/prewarm.h"

int main(int argc, char** argv) {
  const char* const ranges[] = {"a-z", "A-Z", NULL};
  prewarm_capture_options options = PREWARM_CAPTURE_OPTIONS_INIT;
  prewarm_output* output = NULL;
  prewarm_command* command = prewarm_command_new("tr");
  int error;

  if (argc != 2) {
    fprintf(stderr, "usage: command TEXT\n");
    return 2;
  }
  prewarm_command_args(command, ranges);
  prewarm_command_env(command, "LC_ALL", "C");
  options.input = argv[1];
  options.input_size = strlen(argv[1]);
  options.timeout_ms = 1000;
  error = prewarm_command_capture(command, &options, &output);
  if (error < 0) {
    fprintf(stderr, "command: %s\n", prewarm_command_error(command));
  } else {
    printf("%s\n", output->out);
  }
  prewarm_output_free(output);
  prewarm_command_free(command);
  return error < 0;
}
