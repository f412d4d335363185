// SPDX-License-Identifier: MIT
//
// One of many libraries, number N of COUNT: something of all that a linker has to get right. The
// numbers are only there so that a mistake shows in the output.
#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define NAME(what) PASTE(PASTE(t, N), _##what)
#define NEXT(what) PASTE(PASTE(t, AFTER), _##what)

extern "C" {
int NEXT(call)(int depth);
int NEXT(throws)(int depth);
extern int NEXT(variable);
extern thread_local int NEXT(tls);
int only_if_defined() __attribute__((weak));
int chosen();  // by the processor, in another library
int versioned_old();
int versioned_new();

__attribute__((visibility("protected"))) int common_protected() { return 1000 + N; }
int common() { return 2000 + N; }
int NAME(variable) = 100 + N;
thread_local int NAME(tls) = 200 + N;
thread_local const char* NAME(words)[] = {"zero", "one", "two"};
static const char* const names[] = {
    "a"
    "b",
    "cd", __FILE__};
static int* const pointers[] = {&NAME(variable), &NEXT(variable), nullptr};
static thread_local int mine = 300 + N;
}

#if N % 3 == 0
extern "C" void NEXT(registers)();
namespace {
struct Noticed {
  Noticed() {
    note("constructed", N);
    NEXT(registers)();
  }
  ~Noticed() { note("destroyed", N); }
} noticed;
}  // namespace
#elif N % 3 == 1
// Called by somebody's constructor, and has none of its own: what is registered here is called when
// this library is finished, in its turn.
static void at_end() { note("at exit", N); }
extern "C" void NAME(registers)() { atexit(at_end); }
#elif N == 5
// Without the compiler's start files: the only constructor isn't theirs.
__attribute__((constructor)) static void started() { note("started", N); }
#endif

struct Derived : Base {
  int number() const override { return N + Shared<int>::value; }
};

extern "C" {

int NAME(call)(int depth) {
  if (depth == 0) {
    void* frames[64];
    const int count = backtrace(frames, 64);
    for (int i = 0; i < count; ++i) {
      Dl_info info;
      if (dladdr(frames[i], &info) != 0 && info.dli_sname != nullptr) {
        printf("frame %s %s %d\n", strrchr(info.dli_fname, '/') + 1, info.dli_sname,
               memcmp(info.dli_fbase, "\177ELF", 4));
      }
    }
    return N;
  }
  return NEXT(call)(depth - 1) + 1;
}

int NAME(throws)(int depth) {
  struct Guard {
    ~Guard() { ++unwound; }
  } guard;
  if (depth == 0) throw Thrown<N>{};
  return NEXT(throws)(depth - 1) + 1;
}

int NAME(test)() {
  ++Shared<int>::value;
  ++counted_inline();
  Derived derived;
  const Base& base = derived;
  int caught = 0;
  try {
    NAME(throws)(5);
  } catch (const Base& thrown) {
    caught = thrown.number();
  }
  printf("%d: %d %d %d %d %d %s %s %d %d %d %d %d %d %d %d %d\n", N, base.number(), caught, unwound,
         NEXT(tls), NAME(tls)++, NAME(words)[N % 3], names[N % 2], *pointers[0], *pointers[1],
         mine++, common(), common_protected(), only_if_defined == nullptr ? -1 : only_if_defined(),
         chosen(), versioned_old(), versioned_new());
  return NEXT(variable);
}

int NAME(wait)() {
  char byte;
  puts("waiting");
  fflush(stdout);
  return static_cast<int>(read(0, &byte, 1));
}

int (*NAME(function)())(int) { return NEXT(call); }
}
