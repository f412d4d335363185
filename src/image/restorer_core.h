// SPDX-License-Identifier: MIT
//
// How a process is filled from an image: what the auditor (restorer.cc), which finds a process that
// ld.so has begun to link, and the command (exec_direct.cc), which gives up its own place, have in
// common.
//
// Restrictions: no libc, no allocation, no errno, no thread-local data, no static data that needs
// relocation; system calls by raw_syscall.
#pragma once

#include <sys/stat.h>

#include <cstdint>

#include "image/format.h"
#include "image/restorer_process.h"

namespace prewarm::image {

struct Restoration {
  InitialStack stack;
  Descriptors descriptors;
  const ImageHeader* header = nullptr;  // mapped, with its tables
  std::uint64_t heap = 0;               // the program break
  std::uint64_t thread_id = 0;
  bool has_thread = false;  // libc has told the kernel of a thread already
  // A descriptor of the program that the kernel is to be told of, or -1: it knows.
  int executable = -1;
  const char* environment_end = nullptr;  // behind its last string
};

// Some pages of the address space.
struct Extent {
  std::uint64_t begin = 0, end = 0;
};

// The pages of an ELF file that is mapped at `base`.
Extent extent_of(std::uint64_t headers, std::uint64_t count, std::uint64_t base);

// Maps header and tables. False: they aren't an image of this version for these descriptors.
bool map_header(Restoration& r);

// Whether the kernel and the limits are as they were.
bool conditions_hold(const Restoration& r);

// Whether the program is the file that the image was made from; `path` is looked at without being
// opened.
bool is_program_of(const Restoration& r, int directory, const char* path, int flags);

// Maps all regions. False: one can't be; the others may be there.
bool map_regions(const Restoration& r);

// The steps after which the process is another; each can fail, and then only an exec helps.
bool move_vdso(const Restoration& r);
void correct_auxiliary(const Restoration& r);
bool tell_kernel(const Restoration& r);
bool adopt_thread(Restoration& r);
bool patch(const Restoration& r);

void close_all(const Descriptors& descriptors);

// Unmaps `old`, in which this code may be, by the image's own munmap, and goes to the image's
// start.
[[noreturn]] void leave(const Restoration& r, const Extent& old);

}  // namespace prewarm::image
