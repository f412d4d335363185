// SPDX-License-Identifier: MIT
//
// A library that is linked in some unusual way, see CMakeLists.txt. ODD is its name.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#ifndef ODD_BSS
#define ODD_BSS 100
#endif

static int values[] = {1, 2, 3};
static int* const pointers[] = {&values[2], &values[1], &values[0]};
static const char* const names[] = {TEXT(ODD), "second", "third"};
static char zeros[ODD_BSS];
int JOIN(ODD, exported) = 5;
int shared_by_all __attribute__((weak)) = 1;
#ifdef ODD_NO_PIC  // the compiler would take the program's thread-local data for its own
#define THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else
#define THREAD_LOCAL __thread
#endif
static THREAD_LOCAL int counter = 10;
THREAD_LOCAL int JOIN(ODD, thread) = 20;

static void say(const char* what) {
  char line[200];
  snprintf(line, sizeof line, "%s %s\n", TEXT(ODD), what);
  (void)!write(1, line, strlen(line));
}

#ifdef ODD_INIT
void JOIN(ODD, init)(void) { say("init"); }
void JOIN(ODD, fini)(void) { say("fini"); }
#endif

#ifdef ODD_BUSY
static void* in_thread(void* data) {
  *(int*)data = ++counter;
  return NULL;
}
static void be_busy(void) {
  int got = 0;
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, &got);
  pthread_join(thread, NULL);
  const pid_t pid = fork();
  if (pid == 0) _exit(got);
  int status = 0;
  waitpid(pid, &status, 0);
  void* const handle = dlopen("libm.so.6", RTLD_NOW);
  void* const self = dlopen(NULL, RTLD_NOW);
  char line[100];
  snprintf(line, sizeof line, "busy %d %d %d, HOME %d", WEXITSTATUS(status), handle != NULL,
           dlsym(self, "malloc") != NULL, getenv("HOME") != NULL);
  say(line);
}
#endif

__attribute__((constructor)) static void arrive(void) {
  say("arrives");
#ifdef ODD_BUSY
  be_busy();
#endif
}
__attribute__((destructor)) static void leave(void) { say("leaves"); }

#ifdef ODD_OTHER
extern int JOIN(ODD_OTHER, exported);
extern int JOIN(ODD_OTHER, plain)(void);
#endif

int JOIN(ODD, plain)(void) { return *pointers[0]; }

int JOIN(ODD, value)(void) {
  int sum = *pointers[0] + JOIN(ODD, exported) + (int)strlen(names[0]) + counter++ +
            JOIN(ODD, thread)++ + zeros[ODD_BSS - 1] + shared_by_all;
  zeros[ODD_BSS - 1]++;
#ifdef ODD_OTHER
  sum += JOIN(ODD_OTHER, exported) + JOIN(ODD_OTHER, plain)();
#endif
  return sum;
}
