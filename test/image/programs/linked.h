// SPDX-License-Identifier: MIT
//
// What liblinked.so gives: one of each kind of symbol that a dynamic linker treats by itself.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

extern int linked_copied[4];     // the program has a copy of it, if it isn't position-independent
extern const char* linked_text;  // a pointer that needs relocation
int linked_chosen(void);         // by an IFUNC resolver
int linked_versioned(void);      // the default version of two
int linked_interposed(void);     // the program's own, if it defines one
int linked_calls_interposed(void);
int linked_is_absent(void);  // of a weak function that nobody defines
int linked_through_table(int which);
int linked_trace(void** frames, int count);  // backtrace from within a library
void* linked_next(const char* name);         // dlsym(RTLD_NEXT) as seen from the library
void* linked_own_address(void);
int linked_big_thread_data(int i);  // static TLS of 64 KiB, aligned to 4096
int linked_initial_exec(void);
int (*linked_pointer(void))(void);  // the address of linked_chosen

#ifdef __cplusplus
}
#endif
