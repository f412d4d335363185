// SPDX-License-Identifier: MIT
//
// What the agent knows of its host's mappings; shared by the parts that learn and use which pages a
// launch needs. Restrictions: see agent.h.
#pragma once

#include "park/agent.h"

namespace prewarm::agent {

using park::PageRange;

inline constexpr std::size_t kPage = 4096;
inline constexpr unsigned kMaxRegions = 512;

// /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
inline constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;
inline constexpr std::uint64_t kSwapped = std::uint64_t{1} << 62;
inline constexpr std::uint64_t kFileOrShared = std::uint64_t{1} << 61;
inline constexpr std::uint64_t kExclusive = std::uint64_t{1} << 56;

// A line of /proc/self/maps.
struct Mapping {
  std::uint64_t start;
  std::uint64_t end;
  bool readable;
  bool writable;
  bool executable;
  bool shared;
  const char* name;  // valid during the visit

  // The kernel's own, which need no touching, and can't be where they lie above user space.
  bool is_special() const { return starts_with(name, "[v"); }
  bool is_stack() const { return starts_with(name, "[stack"); }
};
// Calls visit(mapping, data) for each. False: they can't be read. What is visited may change.
bool each_mapping(void (*visit)(const Mapping&, void*), void* data);
template <class Visit>
bool each_mapping(Visit visit) {
  return each_mapping([](const Mapping& m, void* data) { (*static_cast<Visit*>(data))(m); },
                      &visit);
}

// A mapping as it was while the program was parked, and whether fork copies its page tables though
// it is a file's and only read (see adopt_learned).
struct Region {
  std::uint64_t start;
  std::uint64_t end;
  bool writable;
  bool shared;
  bool anonymous;  // of no file, so that nobody can take pages of it away
  bool own_pages;  // relocated, for example: not all of it is what the file has
  bool copied;
};
extern Region regions[kMaxRegions];
extern unsigned region_count;

std::uint64_t read_hexadecimal(const char*& at);
long open_pagemap();

inline long advise(std::uint64_t start, std::uint64_t end, int advice) {
  return os::raw_syscall(SYS_madvise, static_cast<long>(start), static_cast<long>(end - start),
                         advice);
}

// Calls visit(address, entry) for each page of [start, end).
template <class Visit>
void walk_pages(std::uint64_t start, std::uint64_t end, long pagemap, Visit visit) {
  std::uint64_t entries[256] = {};
  while (start < end) {
    const std::uint64_t pages = (end - start) / kPage;
    const std::uint64_t wanted = pages < 256 ? pages : 256;
    const long n =
        os::raw_syscall(SYS_pread64, pagemap, os::arg(entries), static_cast<long>(wanted * 8),
                        static_cast<long>(start / kPage * 8));
    if (n <= 0) return;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(n) / 8; ++i, start += kPage) {
      visit(start, entries[i]);
    }
  }
}

}  // namespace prewarm::agent
