// SPDX-License-Identifier: MIT
#include "linked.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <stddef.h>

int linked_copied[4] = {1, 2, 3, 4};
const char* linked_text = "text of the library";

static int one(void) { return 1; }
static int two(void) { return 2; }
static int (*const table[])(void) = {one, two, linked_chosen, linked_interposed};

static int chosen_here(void) { return 77; }
static int (*choose(void))(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse2") ? chosen_here : NULL;
}
int linked_chosen(void) __attribute__((ifunc("choose")));

__attribute__((symver("linked_versioned@LINKED_1"))) int old_version(void) { return 1; }
__attribute__((symver("linked_versioned@@LINKED_2"))) int new_version(void) { return 2; }

int linked_interposed(void) { return 10; }
int linked_calls_interposed(void) { return linked_interposed(); }

extern int nobody_defines_this(void) __attribute__((weak));
int linked_is_absent(void) { return nobody_defines_this == NULL; }

int linked_through_table(int which) { return table[which](); }
int linked_trace(void** frames, int count) { return backtrace(frames, count); }
void* linked_next(const char* name) { return dlsym(RTLD_NEXT, name); }
void* linked_own_address(void) { return (void*)linked_own_address; }

static __thread char big[65536] __attribute__((aligned(4096))) = {1, 2, 3};
static __thread int initial __attribute__((tls_model("initial-exec"))) = 21;
int linked_big_thread_data(int i) {
  if (((size_t)big & 4095) != 0) return -1;
  big[i]++;
  return big[i];
}
int linked_initial_exec(void) { return initial++; }
int (*linked_pointer(void))(void) { return linked_chosen; }
