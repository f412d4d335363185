// SPDX-License-Identifier: MIT
//
// With BASE: what the libraries write to. With CHOOSER: a function chosen by the processor. With
// VERSIONED: two versions of one name; with VERSIONS: who uses them. With PLUGIN: what a program
// loads later.
#include <stdio.h>

#include "shared.h"

#if defined(BASE)

extern "C" {
int unwound = 0;
void note(const char* what, int number) { printf("%s %d\n", what, number); }
}

#elif defined(CHOOSER)

extern "C" {
static int one() { return 71; }
static int other() { return 72; }
static int (*choose())() {
  return __builtin_cpu_init(), __builtin_cpu_supports("sse2") ? one : other;
}
int chosen() __attribute__((ifunc("choose")));
}

#elif defined(VERSIONED)

extern "C" {
int first_version() { return 81; }
int second_version() { return 82; }
__asm__(".symver first_version, versioned@V1");
__asm__(".symver second_version, versioned@@V2");
}

#elif defined(VERSIONS)

extern "C" {
int old_one();
int new_one();
__asm__(".symver old_one, versioned@V1");
__asm__(".symver new_one, versioned@V2");
int versioned_old() { return old_one(); }
int versioned_new() { return new_one(); }
}

#elif defined(PLUGIN)

extern "C" int common() { return 9; }
extern "C" int t3_call(int depth);
extern "C" int versioned();
extern "C" int plugin_test() {
  // DEEPBIND or not, there is one of each.
  return ++Shared<int>::value * 1000 + ++counted_inline() * 10 + common() + (t3_call(2) & 1) +
         versioned();
}

#endif
