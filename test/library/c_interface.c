/* SPDX-License-Identifier: MIT
 *
 * The C interface, called from C: every part of it once, its errors, and what it leaves behind.
 * Exits with 0 if all is as it should be; else says what isn't.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prewarm/prewarm.h"

static int failures;

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                             \
    }                                                                         \
  } while (0)

static int open_descriptors(void) {
  DIR* directory = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(directory) != NULL) ++count;
  closedir(directory);
  return count;
}

/* Takes all completions of what is under way; the result of the operation with user data i is
 * results[i], and what it was codes[i]. */
static int pidfd_of_last_clone;
static void take_all(prewarm_ring* ring, int results[], unsigned codes[]) {
  prewarm_completion completions[3];
  int count;
  while ((count = prewarm_ring_wait(ring, completions, 3, -1)) > 0 || count == -EINTR) {
    for (int i = 0; i < count; ++i) {
      results[completions[i].user_data] = completions[i].result;
      codes[completions[i].user_data] = completions[i].code;
      if (completions[i].pidfd >= 0) pidfd_of_last_clone = completions[i].pidfd;
    }
  }
  CHECK(count == 0);
}

static int exit_code_of(pid_t pid, int pidfd) {
  prewarm_process* process = prewarm_process_adopt(pid, pidfd);
  prewarm_exit end = {0};
  CHECK(prewarm_process_wait(process, -1, &end) == 1);
  prewarm_process_free(process);
  return WIFEXITED(end.wait_status) ? WEXITSTATUS(end.wait_status) : -1;
}

static void ring_runs_chains(void) {
  char* const argv[] = {"sh", "-c", "test -t 0 || exit $(umask | cut -c4)", NULL};
  prewarm_operation chain[6];
  int results[6];
  unsigned codes[6];
  prewarm_ring* ring = NULL;
  struct pollfd ready;

  CHECK(prewarm_ring_create(NULL, &ring) == 0);
  CHECK(prewarm_ring_backend(ring) != PREWARM_BACKEND_AUTOMATIC);
  chain[0] = prewarm_op_clone(NULL);
  chain[1] = prewarm_op_open(0, "/dev/null", O_RDONLY, 0);
  chain[2] = prewarm_op_umask(05);
  chain[3] = prewarm_op_exec("/nowhere/sh", argv, environ);
  chain[4] = prewarm_op_exec("/bin/sh", argv, environ);
  chain[5] = prewarm_op_setsid();
  for (int i = 0; i < 6; ++i) chain[i].user_data = (uint64_t)i;
  CHECK(prewarm_ring_push_chain(ring, chain, 6) == 0);
  CHECK(prewarm_ring_outstanding(ring) == 0);
  CHECK(prewarm_ring_submit(ring) == 6);
  ready.fd = prewarm_ring_pollable(ring);
  ready.events = POLLIN;
  CHECK(poll(&ready, 1, 20000) == 1);
  take_all(ring, results, codes);
  CHECK(results[0] > 0 && codes[0] == PREWARM_OP_CLONE);
  CHECK(results[1] == 0 && results[2] == 0);
  CHECK(results[3] == -ENOENT && codes[3] == PREWARM_OP_EXEC);
  CHECK(results[4] == 0);
  CHECK(results[5] == -ECANCELED && codes[5] == PREWARM_OP_SETSID);
  CHECK(prewarm_ring_outstanding(ring) == 0);
  CHECK(exit_code_of(results[0], pidfd_of_last_clone) == 5);
  CHECK(prewarm_ring_cancel(ring, 0) == -ENOENT);
  prewarm_ring_free(ring);
}

/* One operation at a time, with flags of our own. */
static void ring_honours_flags(void) {
  char* const argv[] = {"true", NULL};
  prewarm_ring_options options = PREWARM_RING_OPTIONS_INIT;
  prewarm_operation operation;
  int results[4];
  unsigned codes[4];
  prewarm_ring* ring = NULL;

  options.entries = 4;
  options.own_task = 0;
  options.backend = PREWARM_BACKEND_VFORK;
  CHECK(prewarm_ring_create(&options, &ring) == 0);
  CHECK(prewarm_ring_backend(ring) == PREWARM_BACKEND_VFORK);
  CHECK(prewarm_ring_pollable(ring) == -1);
  operation = prewarm_op_clone(NULL);
  operation.flags = PREWARM_LINK;
  CHECK(prewarm_ring_push(ring, &operation) == 0);
  operation = prewarm_op_chdir("/nowhere");
  operation.user_data = 1;
  operation.flags = PREWARM_HARD_LINK; /* goes on all the same */
  CHECK(prewarm_ring_push(ring, &operation) == 0);
  operation = prewarm_op_exec("/bin/true", argv, environ);
  operation.user_data = 2;
  operation.flags = 0;
  CHECK(prewarm_ring_push(ring, &operation) == 0);
  operation = prewarm_op_setsid(); /* not linked to anything: not a chain */
  operation.user_data = 3;
  CHECK(prewarm_ring_push(ring, &operation) == 0);
  CHECK(prewarm_ring_push(ring, &operation) == -EAGAIN);
  CHECK(prewarm_ring_submit(ring) == 4);
  take_all(ring, results, codes);
  CHECK(results[0] > 0);
  CHECK(results[1] == -ENOENT);
  CHECK(results[2] == 0);
  CHECK(results[3] == -EINVAL);
  CHECK(exit_code_of(results[0], pidfd_of_last_clone) == 0);
  prewarm_ring_free(ring);
}

static void ring_refuses(void) {
  prewarm_ring_options options = PREWARM_RING_OPTIONS_INIT;
  prewarm_operation operation = prewarm_op_clone(NULL);
  prewarm_completion completion;
  prewarm_ring* ring = NULL;
  char why[200] = "";

  CHECK(prewarm_ring_create(NULL, NULL) == -EFAULT);
  options.backend = (enum prewarm_backend)99;
  CHECK(prewarm_ring_create(&options, &ring) == -EINVAL);
  CHECK(ring == NULL);
  CHECK(prewarm_probe((enum prewarm_backend)99, NULL, 0) == -EINVAL);
  CHECK(prewarm_probe(PREWARM_BACKEND_FORK, why, sizeof why) == 0);
  if (prewarm_probe(PREWARM_BACKEND_IO_URING, why, sizeof why) < 0) CHECK(strlen(why) > 10);

  CHECK(prewarm_ring_push(NULL, &operation) == -EFAULT);
  CHECK(prewarm_ring_submit(NULL) == -EFAULT);
  CHECK(prewarm_ring_reap(NULL, &completion, 1) == -EFAULT);
  CHECK(prewarm_ring_pollable(NULL) == -1);
  CHECK(prewarm_ring_create(NULL, &ring) == 0);
  CHECK(prewarm_ring_push(ring, NULL) == -EFAULT);
  operation.code = PREWARM_OP_TRACE_ME + 1;
  CHECK(prewarm_ring_push(ring, &operation) == -EINVAL);
  CHECK(prewarm_ring_push_chain(ring, &operation, 1) == -EINVAL);
  operation = prewarm_op_clone(NULL);
  operation.flags = 8;
  CHECK(prewarm_ring_push(ring, &operation) == -EINVAL);
  operation = prewarm_op_clone(NULL);
  operation.reserved[1] = 1;
  CHECK(prewarm_ring_push(ring, &operation) == -EINVAL);
  /* Arguments that can't be looked at make no operation. */
  operation = prewarm_op_signal_mask(NULL);
  CHECK(prewarm_ring_push(ring, &operation) == -EINVAL);
  operation = prewarm_op_affinity(1, "");
  CHECK(prewarm_ring_push(ring, &operation) == -EINVAL);
  CHECK(prewarm_ring_reap(ring, &completion, 1) == 0);
  CHECK(prewarm_ring_wait(ring, &completion, 1, -1) == 0); /* nothing is under way */
  prewarm_ring_free(ring);
  prewarm_ring_free(NULL);
}

/* Options of a caller that knows fewer fields than the library. */
static void options_may_be_shorter(void) {
  prewarm_ring_options options;
  prewarm_ring* ring = NULL;
  memset(&options, 0xff, sizeof options);
  options.size = offsetof(prewarm_ring_options, completions);
  options.entries = 16;
  CHECK(prewarm_ring_create(&options, &ring) == 0);
  CHECK(prewarm_ring_pollable(ring) >= 0); /* own_task is the default, not what we left there */
  prewarm_ring_free(ring);
}

static void command_runs(void) {
  const char* const arguments[] = {"-c", "echo $A${B-.}$#; echo e >&2; pwd; exit 4", "sh", NULL};
  prewarm_command* command = prewarm_command_new("sh");
  prewarm_operation operation = prewarm_op_umask(077);
  prewarm_output* output = NULL;
  prewarm_exit end = {0};

  setenv("B", "unwanted", 1);
  prewarm_command_args(command, arguments);
  prewarm_command_arg(command, "one");
  prewarm_command_env(command, "A", "a");
  prewarm_command_unset_env(command, "B");
  prewarm_command_directory(command, "/");
  prewarm_command_setup(command, &operation);
  CHECK(prewarm_command_capture(command, NULL, &output) == 0);
  CHECK(output != NULL && strcmp(output->out, "a.1\n/\n") == 0 && output->out_size == 6);
  CHECK(output != NULL && strcmp(output->err, "e\n") == 0 && output->err_size == 2);
  CHECK(output != NULL && WEXITSTATUS(output->exit.wait_status) == 4 && !output->truncated);
  CHECK(output != NULL && output->exit.usage.ru_maxrss > 0);
  prewarm_output_free(output);

  prewarm_command_null(command, PREWARM_OUT);
  prewarm_command_err_to_out(command);
  CHECK(prewarm_command_run(command, &end) == 0);
  CHECK(WEXITSTATUS(end.wait_status) == 4 && !end.timed_out);
  CHECK(prewarm_command_run(command, NULL) == 0);
  prewarm_command_free(command);
}

static void command_converses(void) {
  prewarm_command* command = prewarm_command_new("cat");
  prewarm_process* process = NULL;
  prewarm_exit end = {0};
  char answer[3] = "";
  int out;

  prewarm_command_pipe(command, PREWARM_IN);
  prewarm_command_pipe(command, PREWARM_OUT);
  CHECK(prewarm_command_spawn(command, &process) == 0);
  CHECK(prewarm_process_pid(process) > 0);
  CHECK(prewarm_process_stream(process, PREWARM_ERR) == -1);
  CHECK(write(prewarm_process_stream(process, PREWARM_IN), "hi", 2) == 2);
  CHECK(read(prewarm_process_stream(process, PREWARM_OUT), answer, 2) == 2);
  CHECK(strcmp(answer, "hi") == 0);
  CHECK(prewarm_process_wait(process, 0, &end) == 0);
  out = prewarm_process_take_stream(process, PREWARM_OUT);
  CHECK(prewarm_process_stream(process, PREWARM_OUT) == -1);
  prewarm_process_close_stream(process, PREWARM_IN);
  CHECK(read(out, answer, 1) == 0);
  CHECK(prewarm_process_wait(process, 20000, &end) == 1);
  CHECK(WIFEXITED(end.wait_status) && WEXITSTATUS(end.wait_status) == 0);
  CHECK(prewarm_process_kill(process, SIGTERM) == -ESRCH);
  close(out);
  prewarm_process_free(process);
  prewarm_command_free(command);
}

static void command_is_killed(void) {
  prewarm_command* command = prewarm_command_new("sleep");
  prewarm_process* process = NULL;
  prewarm_exit end = {0};

  prewarm_command_arg(command, "1000");
  prewarm_command_kill_group(command);
  prewarm_command_timeout(command, 10);
  CHECK(prewarm_command_run(command, &end) == 0);
  CHECK(end.timed_out && WTERMSIG(end.wait_status) == SIGKILL);
  prewarm_command_kill_on_drop(command, 1);
  CHECK(prewarm_command_spawn(command, &process) == 0);
  prewarm_process_free(process);
  CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
  prewarm_command_free(command);
}

static void command_refuses(void) {
  prewarm_command* command = prewarm_command_new("/nowhere/program");
  prewarm_operation operation = prewarm_op_exec("/bin/true", NULL, NULL);
  prewarm_process* process = NULL;

  CHECK(strcmp(prewarm_command_error(command), "") == 0);
  CHECK(prewarm_command_spawn(command, &process) == -ENOENT);
  CHECK(process == NULL);
  CHECK(strcmp(prewarm_command_error(command),
               "exec /nowhere/program: No such file or directory") == 0);
  prewarm_command_setup(command, &operation);
  CHECK(prewarm_command_run(command, NULL) == -EINVAL);
  CHECK(prewarm_command_spawn(command, NULL) == -EFAULT);
  prewarm_command_free(command);

  command = prewarm_command_new(NULL);
  CHECK(prewarm_command_run(command, NULL) == -EINVAL);
  prewarm_command_free(command);
  command = prewarm_command_new("true");
  prewarm_command_null(command, (enum prewarm_stream)3);
  CHECK(prewarm_command_run(command, NULL) == -EINVAL);
  prewarm_command_free(command);
  command = prewarm_command_new("true");
  prewarm_command_arg(command, NULL);
  CHECK(prewarm_command_run(command, NULL) == -EINVAL);
  prewarm_command_free(command);
  prewarm_command_arg(NULL, "x");
  prewarm_command_free(NULL);
  prewarm_process_free(NULL);
  prewarm_output_free(NULL);
}

static void posix_spawn_runs(void) {
  char* const argv[] = {"sh", "-c", "exit 6", NULL};
  pid_t pid = -1;
  int status = 0;
  CHECK(prewarm_posix_spawnp(&pid, "sh", NULL, NULL, argv, environ) == 0);
  CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 6);
  CHECK(prewarm_posix_spawn(&pid, "/nowhere/sh", NULL, NULL, argv, environ) == ENOENT);
}

int main(void) {
  const int before = open_descriptors();
  CHECK(strncmp(prewarm_version(), "0.", 2) == 0);
  ring_runs_chains();
  ring_honours_flags();
  ring_refuses();
  options_may_be_shorter();
  command_runs();
  command_converses();
  command_is_killed();
  command_refuses();
  posix_spawn_runs();
  CHECK(open_descriptors() == before);
  CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
  return failures != 0;
}
