// SPDX-License-Identifier: MIT
//
// Moves the packed libraries of a capture to where they share pages, and with them every address in
// the capture that leads into one.
//
// In a library that moves nothing changes but its base, with one exception: the tables that only
// ld.so's pointers lead to (pack_plan.h) are taken out of the end of its first segment and stand
// elsewhere, and its program headers say that the segment is so much shorter. ELF header, program
// headers, notes and dynamic section are where they belong, counted from the base.
//
// What ld.so has to be told, as libraries now lie between each other's segments:
//   l_contiguous is cleared: dladdr and the like then look at the segments, not at the range from
//     first to last.
//   _dl_find_object's table, by which exceptions find unwind tables, gets an entry for each segment
//     (as ld.so itself makes them for such libraries).
//   l_initfini of the program, which _dl_init walks, no longer has libraries whose constructors do
//     nothing (pack_constructors.h): in their places stands the library that comes before them in
//     the order of calls, and call_init does nothing for one that was called. So at start nothing
//     of such a library is touched. Nobody else minds: their l_init_called stays 0, for which
//     _dl_fini passes them over (their destructors do nothing, either) and a dlopen of one calls
//     its constructors, which do nothing; the global scope, which lookups and dlopen use, is
//     another array. dlclose never unloads what was there at start; sorting for _dl_fini reaches
//     the program last of all, when everything has its place.
#pragma once

#include <cstdint>
#include <vector>

#include "image/capture.h"
#include "image/capture_memory.h"
#include "image/glibc_layout.h"
#include "image/pack_link.h"
#include "image/pack_plan.h"
#include "os/result.h"

namespace prewarm::image {

// A library that is to move, linked at its old place.
struct MovingLibrary {
  std::uint32_t object = 0;              // index into the capture's objects
  const PackLibrary* library = nullptr;  // not null
  std::vector<LinkedWord> words;
  bool is_idle = false;  // its constructors do nothing

  std::uint64_t old_base = 0, new_base = 0;
  std::uint64_t old_end = 0;     // of its mapping
  std::uint64_t new_tables = 0;  // address; if it has movable ones
};

// Where things have gone.
class Moves {
 public:
  // By old base, ranges apart from each other.
  explicit Moves(const std::vector<MovingLibrary>& libraries);

  // What becomes of an address. One past the end of a library still is its own.
  std::uint64_t operator()(std::uint64_t address) const;
  bool contains(std::uint64_t address) const { return find(address) != nullptr; }

 private:
  const MovingLibrary* find(std::uint64_t address) const;

  std::vector<const MovingLibrary*> by_base_;
};

struct MoveResult {
  std::size_t groups = 0;    // of libraries that share pages
  std::uint64_t bytes = 0;   // of the pages that packed libraries are in now
  std::size_t mappings = 0;  // of them
  std::uint64_t begin = 0;   // address of the first of them
};

// On success `libraries` have their new bases. `unique`: symbols that ld.so has to know as unique,
// beyond those that it knows.
os::Result<MoveResult> move_libraries(Capture& capture, const LoaderView& loader,
                                      std::vector<MovingLibrary>& libraries,
                                      const std::vector<LinkObject>& objects,
                                      const std::vector<UniqueUse>& unique);

}  // namespace prewarm::image
