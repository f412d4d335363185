/* SPDX-License-Identifier: MIT
 *
 * The job of docs/spawning.md by posix_spawn, as far as it goes: job_posix_spawn DIRECTORY LOG
 * <TEXT
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_BYTES = 1 << 20, SECONDS = 10 };

static char text[TEXT_BYTES];
static char output[TEXT_BYTES];

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The caller's environment but for LC_ALL. */
static char** make_environment(void) {
  size_t count = 0, kept = 0;
  char** row;
  while (environ[count] != NULL) ++count;
  row = calloc(count + 2, sizeof *row);
  for (size_t i = 0; i < count; ++i) {
    if (strncmp(environ[i], "LC_ALL=", 7) != 0) row[kept++] = environ[i];
  }
  row[kept] = (char*)"LC_ALL=C";
  return row;
}

/* Both pipes at once until `out` ends; -1 when the time is over. */
static ssize_t converse(int in, int out, size_t size) {
  const long long deadline = now_ms() + SECONDS * 1000;
  size_t sent = 0, got = 0;
  fcntl(in, F_SETFL, O_NONBLOCK);
  for (;;) {
    struct pollfd ready[] = {{in, POLLOUT, 0}, {out, POLLIN, 0}};
    const long long left = deadline - now_ms();
    ssize_t n;
    if (sent == size && in >= 0) {
      close(in);
      in = -1;
      continue;
    }
    if (left <= 0 || poll(ready, 2, (int)left) <= 0) return -1;
    if (ready[0].revents != 0) {
      n = write(in, text + sent, size - sent);
      sent = n > 0 ? sent + (size_t)n : size; /* it need not read all of it */
    }
    if (ready[1].revents != 0) {
      n = read(out, output + got, sizeof output - got);
      if (n <= 0) return (ssize_t)got;
      got += (size_t)n;
    }
  }
}

int main(int argc, char** argv) {
  char* const command[] = {"sort", "-u", NULL};
  const struct rlimit limit = {1 << 30, 1 << 30};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int in[2], out[2], error, status = 0;
  size_t size = 0;
  ssize_t got;
  sigset_t signals;
  pid_t pid;

  if (argc != 3) return 2;
  while ((got = read(0, text + size, sizeof text - size)) > 0) size += (size_t)got;
  signal(SIGPIPE, SIG_IGN); /* the whole program's, for the write above */
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return 1;

  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, argv[2], O_WRONLY | O_CREAT | O_APPEND, 0666);
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawn_file_actions_addchdir_np(&actions, argv[1]);
  posix_spawnattr_init(&attributes);
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  sigaddset(&signals, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  error = posix_spawnp(&pid, command[0], &actions, &attributes, command, make_environment());
  if (error != 0) {
    fprintf(stderr, "%s\n", strerror(error)); /* of which step, nobody knows */
    return 1;
  }
  prlimit(pid, RLIMIT_AS, &limit, NULL); /* it runs already */
  /* No death signal: nothing but the child itself can ask for one. */
  close(in[0]);
  close(out[1]);
  got = converse(in[1], out[0], size);
  if (got < 0 || got == TEXT_BYTES) kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  if (got > 0) fwrite(output, 1, (size_t)got, stdout);
  return got < 0 || status != 0;
}
