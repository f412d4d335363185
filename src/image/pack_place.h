// SPDX-License-Identifier: MIT
//
// Where packed libraries go: pure arithmetic, nothing here touches memory.
//
// The distances between the segments of a linked library can't be changed, as its code counts on
// them. But on x86-64 it may be anywhere at a multiple of the alignment of its sections, commonly
// 16 bytes, not only at whole pages. So libraries are pushed into each other like the teeth of
// combs: the code of several shares the pages of one, and their data, two or more pages further,
// shares pages as well. The usual library of a few functions lets about eight in.
//
// (On AArch64 code counts in pages, by `adrp`: there it could not be done this way.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace prewarm::image {

// What memory is used for. Parts of different use never share a page.
enum class Use : std::uint8_t {
  read,  // constants of large libraries
  code,  // code; constants of small libraries are placed as code, too
  data,  // writable
};

// Bytes of a library, counted from its base.
struct PlacePart {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  Use use = Use::read;
  bool operator==(const PlacePart&) const = default;
  auto operator<=>(const PlacePart&) const = default;
};

struct PlaceItem {
  std::uint64_t alignment = 16;  // of the base; a power of two, kPlaceUnit at least
  std::vector<PlacePart> parts;  // by address, disjoint, none empty
};

inline constexpr std::uint64_t kPlaceUnit = 16;

// What has more bytes than this gets pages of its own.
inline constexpr std::uint64_t kSmallItem = 64 << 10;

// Whole pages of one use, counted from the begin of all.
struct PlacedRun {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  Use use = Use::read;
};

struct Placement {
  std::vector<std::uint64_t> bases;  // of each item, counted from the begin of all
  std::vector<PlacedRun> runs;       // by address; neighbours differ in use or are apart
  std::uint64_t size = 0;            // whole pages
  std::size_t groups = 0;            // of items that share pages, or have some alone
};

// Places all of them. The same items give the same placement.
Placement place(std::span<const PlaceItem> items);

}  // namespace prewarm::image
