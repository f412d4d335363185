// SPDX-License-Identifier: MIT
//
// Capture: an unmodified program is started, linked by its own ld.so at addresses of our choice,
// and looked at in the moment before its constructors run.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "image/format.h"
#include "os/result.h"

namespace prewarm::image {

// A mapping of the captured process.
struct CapturedRegion {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  int protection = 0;
  // Not modified: the pages are those of this file. Empty: anonymous, or modified, and then `bytes`
  // has all of it (none: zeros).
  std::string file;
  std::uint64_t file_offset = 0;
  std::vector<std::uint8_t> bytes;
};

// A link map, in the order of ld.so's list.
struct CapturedObject {
  std::string path;            // l_name; the program's own path for the program
  std::uint64_t base = 0;      // l_addr
  std::uint64_t dynamic = 0;   // l_ld
  std::uint64_t link_map = 0;  // its address
};

// What differs from start to start: where the kernel has put things this time.
struct StartAnchors {
  std::uint64_t stack_start = 0, argv = 0, environment = 0, auxv = 0;
  std::uint64_t random = 0, platform = 0, program_name = 0, argv_0 = 0, heap_start = 0;
  std::array<std::uint64_t, 2> random_words{};
  std::uint64_t argc = 0;
  std::uint64_t thread_id = 0;
  std::uint64_t stack_begin = 0, stack_end = 0;  // of the mapping
  std::uint64_t clock_begin = 0, clock_end = 0;  // time-stamp counter around the start
};

// How ld.so found libraries by name, counted from CaptureOptions::many_files on.
struct LookupCounts {
  std::size_t answered = 0;   // in its place
  std::size_t shortened = 0;  // by itself, in the shortened list
  std::size_t whole = 0;      // by itself, in all of the list
};

struct Capture {
  std::vector<CapturedRegion> regions;  // by address
  std::vector<CapturedObject> objects;
  std::vector<std::string> files_opened;  // by ld.so, in this order; ld.so.cache included
  std::vector<std::string> files_absent;  // that it looked for in vain
  std::uint64_t arena_begin = 0, arena_end = 0;
  std::uint64_t start = 0, entry = 0, loader_base = 0, unmap_gadget = 0;
  std::uint64_t program_headers = 0, program_header_count = 0;
  ImageThread thread;
  ImageConditions conditions;
  ImageVdso vdso;
  StartAnchors anchors;
  LookupCounts lookups;

  // The region that contains the address, or null.
  const CapturedRegion* find(std::uint64_t address) const;
  CapturedRegion* find(std::uint64_t address);
  // The 8 bytes at the address; 0 if they are in no region with contents.
  std::uint64_t word(std::uint64_t address) const;
};

struct CaptureOptions {
  std::uint64_t arena = 0;                // where to put everything; whole pages
  std::uint64_t arena_size = 1ULL << 38;  // 10,000 libraries with pages of 2 MiB have room
  std::uint64_t stack_limit = 0;          // RLIMIT_STACK, soft; 0: this process's
  int arguments = 1;      // argc: two captures differ in it, so that it can be told from others
  std::string preload;    // LD_PRELOAD; empty: not set
  bool bind_now = false;  // LD_BIND_NOW: not how programs are started, but good for comparing
  std::size_t many_files = 64;  // from this many opened files on lookups are shortened
  // Libraries of these paths are mapped and known to ld.so, but not relocated by it.
  std::function<bool(const std::string& path)> leave_unrelocated;
  // Called when all is linked, with a way to call a function of the process (an IFUNC's resolver).
  std::function<os::Result<void>(
      Capture&, const std::function<os::Result<std::uint64_t>(std::uint64_t function)>& call)>
      linked;
};

// Captures the program at `path` (absolute). Errors say at which step and why. The process is gone
// afterwards in every case.
os::Result<Capture> capture_program(const std::string& path, const CaptureOptions& options);

// A page-aligned address at random within kArenaLowest and kArenaHighest, with `size` bytes of
// room.
std::uint64_t draw_arena(std::uint64_t size);

}  // namespace prewarm::image
