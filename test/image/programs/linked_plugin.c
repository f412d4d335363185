// SPDX-License-Identifier: MIT
//
// A library for dlopen that needs one that is there already, and one that isn't. Has thread-local
// data that only fits into the room that ld.so keeps for such.
#include <stdio.h>

#include "linked.h"

static __thread int initial __attribute__((tls_model("initial-exec"))) = 8;
static __thread char large[100000] = {9};

__attribute__((constructor)) static void arrive(void) { puts("plugin arrives"); }
__attribute__((destructor)) static void leave(void) { puts("plugin leaves"); }
int plugin_answer(void) {
  return linked_chosen() + linked_copied[3] + initial++ + large[0]++ + linked_interposed();
}
