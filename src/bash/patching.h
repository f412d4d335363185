// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two ways to get between bash and what it calls, in memory only, for this process and those it
// forks; the file of bash stays as it is.
//
// An *import* is a function that bash takes from a library: its slot in bash's global offset table
// is pointed at ours. An *entry* is a function inside bash: its first instruction is replaced by a
// jump to ours, and the instructions that had to make room are kept in a trampoline, through which
// ours goes on to the original. Both are refused, and nothing is changed, when anything looks
// unusual (no such slot, instructions that can't be moved, another processor).
#pragma once

#include <cstddef>

#include "os/fd.h"

namespace prewarm::bash {

struct AddressRange {
  unsigned long start = 0;
  unsigned long end = 0;
  bool contains(unsigned long address) const { return address >= start && address < end; }
};

class Patcher {
 public:
  Patcher() = default;
  Patcher(const Patcher&) = delete;
  Patcher& operator=(const Patcher&) = delete;

  // `*original` gets the address through which the unpatched function can be called.
  bool import(const char* name, void* replacement, void** original);
  bool entry(void* function, void* replacement, void** original);

  // Makes the trampolines executable. Nothing can be patched after.
  bool finish();

 private:
  struct Relocations {
    const void* start = nullptr;
    unsigned long size = 0;
  };
  bool find_tables();
  bool import_from(const Relocations& relocations, const char* name, void* replacement,
                   void** original);
  bool make_trampolines(void* near);
  // Writes where the program itself may only do as `protection` says. Through /proc/self/mem if
  // possible: changing the protection for a moment leaves a mapping in pieces, and each of those
  // makes every fork of the shell dearer.
  bool write(unsigned long address, const void* bytes, std::size_t size, int protection);

  os::Fd memory_;  // /proc/self/mem
  bool tables_known_ = false;
  unsigned long base_ = 0;
  AddressRange image_;      // of the program
  AddressRange read_only_;  // tables that may not be written to any more
  Relocations calls_;       // of functions that are only called
  Relocations data_;        // among others, of functions whose address is taken
  const void* symbols_ = nullptr;
  const char* strings_ = nullptr;
  unsigned char* trampolines_ = nullptr;
  unsigned used_ = 0;
};

}  // namespace prewarm::bash
