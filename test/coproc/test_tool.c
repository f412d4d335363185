/* SPDX-License-Identifier: MIT
 *
 * A tool with known behaviour, as a worker by sdk/c: what test/conformance/README.md asks for, and
 * what the cases of test/coproc need beyond that (README.md here).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../sdk/c/prewarm_worker.h"

extern char** environ;

static volatile sig_atomic_t caught;

static void note_signal(int number) {
  (void)number;
  caught = 1;
}

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  return 1;
}

/* ---- What the conformance suite asks for
 * --------------------------------------------------------- */

static int do_argv(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) fwrite(argv[i], 1, strlen(argv[i]) + 1, stdout);
  return 0;
}

static int do_name(int argc, char** argv) {
  (void)argc;
  puts(argv[0]);
  return 0;
}

static int do_env(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    const char* value = getenv(argv[i]);
    printf("%s%s%s%c", argv[i], value == NULL ? "" : "=", value == NULL ? "" : value, 0);
  }
  return 0;
}

static int do_pwd(int argc, char** argv) {
  char path[PATH_MAX];
  (void)argc, (void)argv;
  if (getcwd(path, sizeof path) == NULL) return fail("getcwd");
  puts(path);
  return 0;
}

static int do_umask(int argc, char** argv) {
  const mode_t mask = umask(0);
  (void)argc, (void)argv;
  umask(mask);
  printf("%04o\n", (unsigned)mask);
  return 0;
}

static int do_cat(int argc, char** argv) {
  char bytes[65536];
  size_t n;
  (void)argc, (void)argv;
  while ((n = fread(bytes, 1, sizeof bytes, stdin)) > 0) fwrite(bytes, 1, n, stdout);
  return ferror(stdin) ? fail("read") : 0;
}

static int do_line(int argc, char** argv) {
  int c;
  (void)argc, (void)argv;
  while ((c = getchar()) != EOF) {
    putchar(c);
    if (c == '\n') break;
  }
  return 0;
}

static int do_out(int argc, char** argv) {
  if (argc > 2) fputs(argv[2], stdout);
  return 0;
}

static int do_out_exit(int argc, char** argv) {
  if (argc < 4) return 1;
  fputs(argv[2], stdout);
  exit(atoi(argv[3]));
}

static int do_err(int argc, char** argv) {
  if (argc > 2) fputs(argv[2], stderr);
  return 0;
}

static int do_mix(int argc, char** argv) {
  const int n = argc > 2 ? atoi(argv[2]) : 0;
  for (int i = 1; i <= n; ++i) {
    printf("o%d\n", i);
    fflush(stdout);
    fprintf(stderr, "e%d\n", i);
  }
  return 0;
}

static int do_big(int argc, char** argv) {
  long n = argc > 2 ? atol(argv[2]) : 0;
  while (n-- > 0) {
    if (putchar('x') == EOF) return fail("write");
  }
  return fflush(stdout) == 0 ? 0 : fail("write");
}

static int do_exit(int argc, char** argv) { exit(argc > 2 ? atoi(argv[2]) : 0); }

static int do_quit(int argc, char** argv) { _exit(argc > 2 ? atoi(argv[2]) : 0); }

static int do_kill(int argc, char** argv) {
  const int number = argc > 2 ? atoi(argv[2]) : SIGKILL;
  signal(number, SIG_DFL);
  raise(number);
  return 1;
}

static int do_fail(int argc, char** argv) {
  fprintf(stderr, "it failed: %s\n", argc > 2 ? argv[2] : "");
  return 1;
}

static int do_soil(int argc, char** argv) {
  (void)argc, (void)argv;
  umask(0111);
  setenv("CONFORM_SOILED", "1", 1);
  return chdir("/") == 0 ? 0 : fail("chdir");
}

static int do_pause(int argc, char** argv) {
  puts("ready");
  fflush(stdout);
  while (getchar() != EOF) continue;
  (void)argc, (void)argv;
  return 0;
}

static int start_child(char** words, int in_session, int is_awaited) {
  const pid_t pid = fork();
  int status = 0;
  if (pid < 0) return fail("fork");
  if (pid == 0) {
    if (in_session) setsid();
    execvp(words[0], words);
    _exit(127);
  }
  if (!is_awaited) return 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int do_leave(int argc, char** argv) {
  char* words[] = {(char*)"cat", argc > 2 ? argv[2] : NULL, NULL};
  return start_child(words, 1, 0);
}

static int do_child_fds(int argc, char** argv) {
  /* The one by which the shell lists them is closed when it looks at them. */
  static const char script[] =
      "set --; for f in /proc/$$/fd/*; do [ -e \"$f\" ] && set -- \"$@\" \"${f##*/}\"; done;"
      "echo \"$*\"";
  char* words[] = {(char*)"sh", (char*)"-c", (char*)script, NULL};
  (void)argc, (void)argv;
  fflush(stdout);
  return start_child(words, 0, 1);
}

/* ---- What the cases need beyond that
 * ------------------------------------------------------------- */

/* Adds a line to FILE: who runs twice is seen. */
static int do_count(int argc, char** argv) {
  const int fd = open(argv[2], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  char line[4096];
  const int n = snprintf(line, sizeof line, "%s\n", argc > 3 ? argv[3] : "run");
  if (fd < 0 || write(fd, line, (size_t)n) != n) return fail("count");
  close(fd);
  return 0;
}

/* The process that serves, to tell workers apart. */
static int do_pid(int argc, char** argv) {
  (void)argc, (void)argv;
  printf("%d\n", (int)getpid());
  return 0;
}

static int do_grow(int argc, char** argv) {
  const size_t size = (size_t)(argc > 2 ? atoi(argv[2]) : 1) << 20;
  static char* kept;
  kept = realloc(kept, size);
  memset(kept, 1, size);
  return kept[size - 1] == 1 ? 0 : 1;
}

/* Signals come only while it waits: one that came just before a read would not interrupt it. */
static int ready_and_read(void) {
  struct pollfd input = {.fd = 0, .events = POLLIN};
  sigset_t interrupts, before;
  char byte;
  sigemptyset(&interrupts);
  sigaddset(&interrupts, SIGINT);
  sigprocmask(SIG_BLOCK, &interrupts, &before);
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (ppoll(&input, 1, NULL, &before) > 0 && read(0, &byte, 1) <= 0) break;
    if (!caught) continue;
    puts("caught");
    fflush(stdout);
    caught = 0;
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
  return 0;
}

/* Says "caught" at each SIGINT, and goes on. */
static int do_catch_int(int argc, char** argv) {
  const struct sigaction note = {.sa_handler = note_signal};
  struct sigaction before;
  (void)argc, (void)argv;
  sigaction(SIGINT, &note, &before);
  const int status = ready_and_read();
  sigaction(SIGINT, &before, NULL);
  return status;
}

static int do_ignore_term(int argc, char** argv) {
  (void)argc, (void)argv;
  signal(SIGTERM, SIG_IGN);
  return ready_and_read();
}

/* A process that outlives the request has its standard output. */
static int do_hold_stdout(int argc, char** argv) {
  char* words[] = {(char*)"cat", argc > 2 ? argv[2] : NULL, NULL};
  return start_child(words, 0, 0);
}

static int do_close_all(int argc, char** argv) {
  (void)argc, (void)argv;
  for (int fd = 3; fd < 1024; ++fd) close(fd);
  return ready_and_read();
}

static int do_limit(int argc, char** argv) {
  (void)argc, (void)argv;
  printf("%ld\n", sysconf(_SC_OPEN_MAX));
  return 0;
}

static int do_environ(int argc, char** argv) {
  (void)argc, (void)argv;
  for (char** v = environ; *v != NULL; ++v) fwrite(*v, 1, strlen(*v) + 1, stdout);
  return 0;
}

static int tool(int argc, char** argv) {
  static const struct {
    const char* name;
    int (*run)(int, char**);
  } commands[] = {
      {"argv", do_argv},
      {"name", do_name},
      {"env", do_env},
      {"pwd", do_pwd},
      {"umask", do_umask},
      {"cat", do_cat},
      {"line", do_line},
      {"out", do_out},
      {"out-exit", do_out_exit},
      {"err", do_err},
      {"mix", do_mix},
      {"big", do_big},
      {"exit", do_exit},
      {"quit", do_quit},
      {"kill", do_kill},
      {"fail", do_fail},
      {"soil", do_soil},
      {"pause", do_pause},
      {"leave", do_leave},
      {"child-fds", do_child_fds},
      {"count", do_count},
      {"pid", do_pid},
      {"grow", do_grow},
      {"catch-int", do_catch_int},
      {"ignore-term", do_ignore_term},
      {"hold-stdout", do_hold_stdout},
      {"close-all", do_close_all},
      {"limit", do_limit},
      {"environ", do_environ},
  };
  for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; ++i) {
    if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc, argv);
  }
  fprintf(stderr, "no such command: %s\n", argc > 1 ? argv[1] : "none");
  return 1;
}

int main(int argc, char** argv) { return prewarm_serve(argc, argv, tool); }
