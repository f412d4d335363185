// SPDX-License-Identifier: MIT
//
// For tests only: a program with a ready point. Before it, it does what its first argument asks
// for; after it, it prints what it finds, one thing in each line.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prewarm/ready.h"

extern char** environ;

typedef int ready_function(struct prewarm_ready_launch*);

static int forks_noticed;
static int clones_made;

static void count_fork(void) { ++forks_noticed; }
static void count_clone(void) { ++clones_made; }

static void* sleep_for_ever(void* unused) {
  for (;;) pause();
  return unused;
}

static void catch_signal(int sig) { (void)sig; }

static void start_child(void) {
  if (system("exit 3") != 3 << 8) _exit(4);
}

static void prepare(const char* wanted) {
  pthread_t thread;
  if (strcmp(wanted, "end") == 0) _exit(0);
  if (strcmp(wanted, "crash") == 0) abort();
  if (strcmp(wanted, "open") == 0 && open("/dev/null", O_RDONLY) < 0) _exit(4);
  if (strcmp(wanted, "open high") == 0 && dup2(0, 500) < 0) _exit(4);
  if (strcmp(wanted, "thread") == 0) pthread_create(&thread, NULL, sleep_for_ever, NULL);
  if (strcmp(wanted, "child") == 0) start_child();
  if (strcmp(wanted, "look") == 0) (void)getenv("SEEN");
  if (strcmp(wanted, "locale") == 0) setlocale(LC_ALL, "");
  if (strcmp(wanted, "set") == 0) setenv("DEPENDS", "changed", 1);
  if (strcmp(wanted, "signals") == 0) {
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, catch_signal);
  }
}

// The canary is fresh in each copy, and right in each frame.
static __attribute__((noinline)) unsigned long canary(void) {
  unsigned long value;
  __asm__("movq %%fs:0x28, %0" : "=r"(value));
  return value;
}

static void print_file(const char* name, const char* path) {
  char text[4096];
  FILE* file = fopen(path, "r");
  const size_t n = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
  if (file != NULL) fclose(file);
  for (size_t i = 0; i < n; ++i) {
    if (text[i] == '\0' || text[i] == '\n') text[i] = ' ';
  }
  text[n] = '\0';
  printf("%s: %s\n", name, text);
}

static void print_signals(void) {
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  struct sigaction action;
  for (int sig = 1; sig < 32; ++sig) {
    if (sigismember(&mask, sig) == 1) printf("blocked: %d\n", sig);
    if (sigaction(sig, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
      printf("ignored: %d\n", sig);
    }
  }
}

static void print_all(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) printf("arg: %s\n", argv[i]);
  for (char** e = environ; *e != NULL; ++e) printf("env: %s\n", *e);
  char name[16];
  prctl(PR_GET_NAME, name);
  char directory[4096];
  const mode_t mask = umask(0);
  printf("name: %s\ncalled: %s\n", name, program_invocation_name);
  printf("directory: %s\n", getcwd(directory, sizeof directory));
  printf("umask: %o\n", mask);
  print_file("cmdline", "/proc/self/cmdline");
  print_file("environ", "/proc/self/environ");
  print_signals();
  printf("forks: %d\nclones: %d\n", forks_noticed, clones_made);
  printf("canary: %lx\n", canary());
  const unsigned char* seed = (const unsigned char*)getauxval(AT_RANDOM);
  printf("seed:");
  for (int i = 0; i < 16; ++i) printf(" %02x", seed[i]);
  printf("\n");
  for (int fd = 0; fd < 600; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) printf("open: %d\n", fd);
  }
}

// A frame with an array, so that the compiler guards it.
static __attribute__((noinline)) int wait_until_ready(struct prewarm_ready_launch* point) {
  volatile char deep[256];
  memset((char*)deep, 1, sizeof deep);
  ready_function* ready = (ready_function*)dlsym(RTLD_DEFAULT, "prewarm_ready");
  const char* held = getenv("PREWARM_READY");
  if (ready == NULL && held != NULL) _exit(127);
  if (held != NULL && atol(held) != getpid()) _exit(5);
  if (getenv("LD_PRELOAD") != NULL || getenv("PREWARM_PARK") != NULL) _exit(6);
  const int result = ready == NULL ? 0 : ready(point);
  return deep[17] == 1 ? result : 7;
}

// More than whoever held us can have used of it.
static __attribute__((noinline)) int use_stack(void) {
  volatile char deep[65536];
  memset((char*)deep, 1, sizeof deep);
  return deep[17];
}

int main(int argc, char** argv) {
  const char* const files[] = {argc > 2 ? argv[2] : NULL, NULL};
  const char* const variables[] = {"DEPENDS", NULL};
  const char* const independent[] = {"SHELL", NULL};
  struct prewarm_ready_launch point = {.size = sizeof point};
  point.files = files;
  point.variables = variables;
  point.independent = independent;
  point.in_clone = count_clone;
  (void)getenv("SHELL");
  if (argc > 1) {
    pthread_atfork(NULL, NULL, count_fork);
    prepare(argv[1]);
  }
  const int held = wait_until_ready(&point);
  if (held == 1) {
    argc = point.argc;
    argv = point.argv;
    if (use_stack() != 1) return 8;
  }
  printf("held: %d\nfirst: %d\n", held, point.first);
  print_all(argc, argv);
  printf("again: %d\n", wait_until_ready(&point));
  return argc;
}
