// SPDX-License-Identifier: MIT
//
// Uses a library that is linked in some unusual way, ODD.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

extern int JOIN(ODD, value)(void);
extern int JOIN(ODD, exported);
extern __thread int JOIN(ODD, thread);
extern int shared_by_all;

static void* in_thread(void* unused) {
  (void)unused;
  printf("in a thread %d %d\n", JOIN(ODD, value)(), JOIN(ODD, thread));
  return NULL;
}

static void show_stack(void) {
  FILE* const file = fopen("/proc/self/maps", "re");
  char line[4200];
  while (fgets(line, sizeof line, file) != NULL) {
    char flags[8] = "";
    sscanf(line, "%*s %7s", flags);
    if (strstr(line, "[stack]") != NULL) printf("stack %s\n", flags);
    if (flags[1] == 'w' && flags[2] == 'x' && strstr(line, "[stack]") == NULL) {
      printf("writable code\n");
    }
  }
  fclose(file);
}

int main(void) {
  printf("%d %d\n", JOIN(ODD, value)(), JOIN(ODD, value)());
  JOIN(ODD, exported) = 50;
  JOIN(ODD, thread) = 100;
  shared_by_all = 1000;
  printf("%d\n", JOIN(ODD, value)());
  pthread_t thread;
  pthread_create(&thread, NULL, in_thread, NULL);
  pthread_join(thread, NULL);
  printf("found %d\n", dlsym(RTLD_DEFAULT, TEXT(ODD) "_value") == (void*)JOIN(ODD, value));
  printf("data %d\n", dlsym(RTLD_DEFAULT, TEXT(ODD) "_exported") == (void*)&JOIN(ODD, exported));
  printf("weak %d\n", dlsym(RTLD_DEFAULT, "shared_by_all") == (void*)&shared_by_all);
  show_stack();
  fflush(stdout);
  return 0;
}
