// SPDX-License-Identifier: MIT
//
// The parts of prewarm that ld.so loads into other programs: the agent and the bash loadable. Each
// carries a note that says so, and whoever names one in LD_PRELOAD looks first whether the file is
// that part, whole and of the same version: ld.so would complain on the program's standard error,
// and a program that is to be parked would run.
//
// Restrictions: included by the agent, so: plain data only.
#pragma once

#include <cstdint>

#include "park/table.h"

namespace prewarm::park {

enum class Part : std::uint32_t { agent = 1, loadable = 2 };

// An ELF note (elf(5)): three sizes and a type, then name and description.
struct PartNote {
  std::uint32_t name_size = sizeof name;
  std::uint32_t description_size = sizeof version;
  Part part;
  char name[8] = "prewarm";
  std::uint32_t version = kTableVersion;
  bool operator==(const PartNote&) const = default;
};

// Once in each part: PREWARM_PART(Part::agent);
#define PREWARM_PART(which)                                                 \
  [[gnu::section(".note.prewarm"), gnu::used,                               \
    gnu::aligned(4)]] constexpr const ::prewarm::park::PartNote part_note { \
    .part = (which)                                                         \
  }

// Whether the file at `path` is that part: a shared object for this processor, not cut off, whose
// note is that of this version.
bool is_part(const char* path, Part part);

// Whether ld.so would load the part at `part` into the program at `program` without complaint: it
// starts that program, lets it be preloaded into, and finds there what the part expects.
bool fits_into(const char* part, const char* program);

}  // namespace prewarm::park
