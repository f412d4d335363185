// SPDX-License-Identifier: MIT
//
// ld.so's table of GNU_UNIQUE symbols: of variables that inline functions and templates of C++
// share, all libraries are to have the same one, also those that a dlopen brings and that don't
// look into the global scope. Whoever links enters what was found first.
#pragma once

#include <cstdint>
#include <vector>

#include "image/capture.h"
#include "image/capture_memory.h"
#include "image/glibc_layout.h"
#include "image/pack_link.h"

namespace prewarm::image {

class Moves;

// Tells the linker what ld.so's table has: it was filled while the kept libraries were relocated.
void know_unique_symbols(const Capture& capture, const LoaderView& loader, CaptureMemory& memory,
                         Linker& linker);

// The table with more symbols in it, as do_lookup_unique of glibc looks them up: open addressing
// with a second hash, the size a prime.
class UniqueTable {
 public:
  // `objects` are at their old places; addresses in the entries are new ones.
  UniqueTable(const Capture& capture, const LoaderView& loader, CaptureMemory& memory,
              const std::vector<LinkObject>& objects, const std::vector<UniqueUse>& more,
              const Moves& moves);

  // Empty if there is nothing to add.
  const std::vector<UniqueEntry>& entries() const { return entries_; }
  std::uint64_t count() const { return count_; }

 private:
  void enter(const UniqueEntry& entry);

  std::vector<UniqueEntry> entries_;
  std::uint64_t count_ = 0;
};

}  // namespace prewarm::image
