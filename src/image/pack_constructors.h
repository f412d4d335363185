// SPDX-License-Identifier: MIT
//
// Libraries whose constructors and destructors are only those that the compiler's start files put
// into each library (crti.o, crtbeginS.o of GCC), and these do nothing.
#pragma once

#include <cstdint>

#include "image/capture_memory.h"
#include "image/elf_file.h"

namespace prewarm::image {

// Whether nobody can tell if the linked library at `base` is initialised and finished or not:
//   _init               calls __gmon_start__ if there is one, and there is none;
//   frame_dummy         hands a table of clones to libitm if there is one: the table is empty or
//                       there is no libitm;
//   __do_global_dtors_aux  calls __cxa_finalize(&__dso_handle), which calls what was registered
//   with
//                       that handle: nothing, as no other code of the library mentions it (as
//                       atexit, destructors of static variables and pthread_atfork do). Then it
//                       remembers that it was here;
//   _fini               is empty.
// The code is compared byte by byte. `finalize`: the address of the C library's __cxa_finalize.
bool has_idle_constructors(const ElfFile& elf, std::uint64_t base, std::uint64_t finalize,
                           CaptureMemory& memory);

}  // namespace prewarm::image
