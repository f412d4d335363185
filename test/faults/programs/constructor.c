// SPDX-License-Identifier: MIT
//
// A program whose constructor does what a parked program must not have done for it: see KIND.
// Its main says what the constructor left.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define THREAD 1
#define DESCRIPTOR 2
#define HIGH_DESCRIPTOR 3
#define VARIABLE 4
#define ENVIRON 5
#define ENVP 6
#define ARGUMENTS 7
#define EXITS 8
#define CRASHES 9
#define SLEEPS 10
#define WRITES 11
#define PRINTS 12
#define HANDLER 13
#define TIMER 14
#define DIRECTORY 15
#define CHILD 16
#define AT_EXIT 17
#define MASK 18
#define SESSION 19
#define TERMINAL 20
#define BUFFERING 21
#define PROCESS_ID 22
#define STANDARD_INPUT 23
#define LIMIT 24
#define PRELOAD_VARIABLE 25
#define EXITS_WITH_STATUS 26
#define RAISES 27
#define NOTES_AND_EXITS 28

extern char** environ;
static char note[4096] = "nothing";

static void say(const char* text) {
  snprintf(note, sizeof note, "%s", text == NULL ? "(null)" : text);
}

static void* idle(void* unused) {
  pause();
  return unused;
}

static void at_exit(void) { puts("left by atexit"); }
static void handler(int signal) { (void)signal; }

static const char* find(char** env, const char* name) {
  for (; *env != NULL; ++env) {
    if (strncmp(*env, name, strlen(name)) == 0 && (*env)[strlen(name)] == '=') return *env;
  }
  return "(not set)";
}

__attribute__((constructor)) static void begin(int argc, char** argv, char** envp) {
  (void)argc, (void)argv, (void)envp;
  switch (KIND) {
    case THREAD: {
      pthread_t thread;
      pthread_create(&thread, NULL, idle, NULL);
      say("a thread");
      break;
    }
    case DESCRIPTOR:
      snprintf(note, sizeof note, "descriptor %d", open("/dev/null", O_RDONLY));
      break;
    case HIGH_DESCRIPTOR: {
      const int fd = open("/dev/null", O_RDONLY);
      snprintf(note, sizeof note, "descriptor %d", fcntl(fd, F_DUPFD, 200));
      close(fd);
      break;
    }
    case VARIABLE:
      say(getenv("CHANGING"));
      break;
    case PRELOAD_VARIABLE:
      say(getenv("LD_PRELOAD"));
      break;
    case ENVIRON:
      say(find(environ, "CHANGING"));
      break;
    case ENVP:
      say(find(envp, "CHANGING"));
      break;
    case ARGUMENTS:
      snprintf(note, sizeof note, "%d arguments, %s %s", argc, argv[0], argc > 1 ? argv[1] : "");
      break;
    case NOTES_AND_EXITS: {
      const int fd = open(NOTES, O_WRONLY | O_CREAT | O_APPEND, 0666);
      if (fd < 0 || write(fd, "run\n", 4) != 4) _exit(99);
      _exit(6);
    }
    case EXITS:
      exit(6);
    case EXITS_WITH_STATUS:
      _exit(argc == 2 ? 9 : 8);
    case CRASHES:
      *(volatile int*)8 = 1;
      break;
    case RAISES:
      raise(SIGTERM);
      break;
    case SLEEPS:
      // For ever, but for a run that is told otherwise.
      if (argc < 2 || strcmp(argv[1], "awake") != 0) pause();
      break;
    case WRITES:
      if (write(1, "constructor says\n", 17) < 0) say("can't write");
      if (write(2, "constructor complains\n", 22) < 0) say("can't complain");
      break;
    case PRINTS:
      printf("constructor prints\n");
      break;
    case HANDLER:
      signal(SIGUSR1, handler);
      signal(SIGPIPE, SIG_IGN);
      break;
    case TIMER: {
      const struct itimerval soon = {{0, 0}, {3600, 0}};
      setitimer(ITIMER_REAL, &soon, NULL);
      break;
    }
    case DIRECTORY:
      if (getcwd(note, sizeof note) == NULL) say("no directory");
      break;
    case CHILD: {
      const pid_t child = fork();
      if (child == 0) {
        pause();
        _exit(0);
      }
      snprintf(note, sizeof note, "%s", child > 0 ? "a child" : "no child");
      kill(child, SIGKILL);
      break;
    }
    case AT_EXIT:
      atexit(at_exit);
      break;
    case MASK: {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGUSR2);
      sigprocmask(SIG_BLOCK, &set, NULL);
      break;
    }
    case SESSION:
      snprintf(note, sizeof note, "group %d", getpgrp() == getsid(0));
      break;
    case TERMINAL:
      snprintf(note, sizeof note, "%d%d%d", isatty(0), isatty(1), isatty(2));
      break;
    case BUFFERING:
      setvbuf(stdout, NULL, _IONBF, 0);
      break;
    case PROCESS_ID:
      snprintf(note, sizeof note, "%d", (int)getpid());
      break;
    case STANDARD_INPUT: {
      struct stat s;
      snprintf(note, sizeof note, "%s",
               fstat(0, &s) == 0 && S_ISFIFO(s.st_mode) ? "a pipe" : "no pipe");
      break;
    }
    case LIMIT: {
      struct rlimit none = {0, 0};
      setrlimit(RLIMIT_CORE, &none);
      none.rlim_cur = none.rlim_max = 333;
      setrlimit(RLIMIT_NOFILE, &none);
      break;
    }
  }
}

static void describe_signals(void) {
  struct sigaction action;
  sigset_t mask;
  sigaction(SIGUSR1, NULL, &action);
  printf("USR1 %s,", action.sa_handler == SIG_DFL ? "default" : "handled");
  sigaction(SIGPIPE, NULL, &action);
  printf(" PIPE %s,", action.sa_handler == SIG_IGN ? "ignored" : "default");
  sigprocmask(SIG_BLOCK, NULL, &mask);
  printf(" USR2 %s\n", sigismember(&mask, SIGUSR2) ? "blocked" : "open");
}

int main(int argc, char** argv) {
  if (KIND == PROCESS_ID) say(atoi(note) == (int)getpid() ? "my own pid" : "another pid");
  printf("%s: %s\n", argc > 1 ? argv[1] : "no argument", note);
  describe_signals();
  struct itimerval left;
  getitimer(ITIMER_REAL, &left);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  printf("timer %s, %s files\n", left.it_value.tv_sec > 0 ? "runs" : "off",
         files.rlim_cur == 333 ? "333" : "many");
  for (int fd = 3; fd < 1000; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) printf("%d is open\n", fd);
  }
  return 4;
}
