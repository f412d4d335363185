// SPDX-License-Identifier: MIT
//
// An entry: a small executable file that stands for a program, and starts it from its image, or as
// it is (`prewarm image install`). It is a copy of prewarm-entry in which the places below are
// filled in, so that at its start nothing has to be looked for.
//
// Restrictions: included by entry_main.cc, so: plain data only.
#pragma once

#include <cstdint>

namespace prewarm::image {

inline constexpr char kEntryMagic[8] = {'P', 'W', 'E', 'N', 'T', 'R', 'Y', '\1'};
// The program is told its path as its name (argv[0]): it looks for its files beside that, and would
// look beside the entry.
inline constexpr std::uint64_t kEntryNamesPath = 1;

inline constexpr unsigned kEntryPathBytes = 1024;  // with the zero byte

struct EntryPlaces {
  char magic[8];
  std::uint64_t flags;  // kEntry*
  // The restorer as it was when the entry was made: the two talk to each other, and an entry may be
  // older than what has been installed since. If it is another one, the command is asked.
  std::uint64_t restorer_device, restorer_inode, restorer_size;
  std::int64_t restorer_changed_ns;
  char program[kEntryPathBytes];   // absolute paths
  char restorer[kEntryPathBytes];  // libprewarm-restore.so
  char command[kEntryPathBytes];   // prewarm
};
static_assert(sizeof(EntryPlaces) == 48 + 3 * kEntryPathBytes);

}  // namespace prewarm::image
