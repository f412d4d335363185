/* SPDX-License-Identifier: MIT
 *
 * The ring from C: two programs started by one submission, each with its output in a file of its
 * own; then what became of every operation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prewarm/prewarm.h"

enum { OPERATIONS = 4 };

static int start(prewarm_ring* ring, uint64_t job, const char* file, char* const argv[]) {
  prewarm_operation chain[OPERATIONS] = {
      prewarm_op_clone(NULL),
      prewarm_op_open(1, file, O_WRONLY | O_CREAT | O_TRUNC, 0644),
      prewarm_op_no_new_privileges(),
      prewarm_op_exec(argv[0], argv, environ),
  };
  for (int i = 0; i < OPERATIONS; ++i) chain[i].user_data = job;
  return prewarm_ring_push_chain(ring, chain, OPERATIONS);
}

int main(int argc, char** argv) {
  char* const list[] = {"/bin/ls", "-d", "/", NULL};
  char* const missing[] = {"/nowhere/at/all", NULL};
  prewarm_ring* ring = NULL;
  prewarm_completion completions[2 * OPERATIONS];
  int error, count, failed = 0;

  if (argc != 3) {
    fprintf(stderr, "usage: ring FILE FILE\n");
    return 2;
  }
  error = prewarm_ring_create(NULL, &ring);
  if (error < 0) {
    fprintf(stderr, "ring: %s\n", strerror(-error));
    return 1;
  }
  start(ring, 1, argv[1], list);
  start(ring, 2, argv[2], missing);
  prewarm_ring_submit(ring);

  while ((count = prewarm_ring_wait(ring, completions, 2 * OPERATIONS, -1)) > 0) {
    for (int i = 0; i < count; ++i) {
      const prewarm_completion* c = &completions[i];
      if (c->result < 0) {
        printf("job %d: %s\n", (int)c->user_data, strerror(-c->result));
        ++failed;
      } else if (c->code == PREWARM_OP_CLONE) {
        prewarm_process* process = prewarm_process_adopt(c->result, c->pidfd);
        prewarm_exit end;
        if (prewarm_process_wait(process, -1, &end) == 1 && WIFEXITED(end.wait_status)) {
          printf("job %d: exited with %d\n", (int)c->user_data, WEXITSTATUS(end.wait_status));
        }
        prewarm_process_free(process);
      } else if (c->code == PREWARM_OP_EXEC) {
        printf("job %d: ran\n", (int)c->user_data);
      }
    }
  }
  prewarm_ring_free(ring);
  return count == 0 && failed == 1 ? 0 : 1;
}
