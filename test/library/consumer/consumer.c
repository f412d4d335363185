/* SPDX-License-Identifier: MIT
 *
 * A program that knows the library only as it is installed.
 */
#define _GNU_SOURCE
#include <prewarm/prewarm.h>
#include <stdio.h>

int main(void) {
  prewarm_command* command = prewarm_command_new("echo");
  prewarm_output* output = NULL;
  prewarm_ring* ring = NULL;
  prewarm_command_arg(command, "from C");
  if (prewarm_command_capture(command, NULL, &output) != 0) return 1;
  fputs(output->out, stdout);
  prewarm_output_free(output);
  prewarm_command_free(command);
  if (prewarm_ring_create(NULL, &ring) != 0) return 1;
  prewarm_ring_free(ring);
  return 0;
}
