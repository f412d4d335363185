// SPDX-License-Identifier: MIT
//
// Which libraries of a program are packed: linked by us and moved together. The others are kept:
// ld.so maps them from their files and relocates them, as ever. Each decision has its sentence.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "image/library_file.h"
#include "image/pack_place.h"

namespace prewarm::image {

// Header tables of a library that only ld.so's pointers lead to (symbols, names, hash, versions,
// relocations): they can be anywhere, so they don't stand in the way when libraries are pushed into
// each other. Addresses as the file has them; none if they stay where they are.
struct MovableTables {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool any() const { return begin != end; }
};

// A library that is to be packed.
struct PackLibrary {
  std::shared_ptr<const LibraryFile> file;
  MovableTables tables;
  PlaceItem item;  // without `tables`
};

// Why it is kept; a sentence that stands after "kept: ". Nothing if it can be packed, as far as its
// file tells. Large ones share no pages with others, and would only lose those that they share with
// other processes: kept, unless `with_large`.
std::optional<std::string> why_kept(const LibraryFile& file, bool with_large);

// The tables that may be moved.
MovableTables movable_tables(const ElfFile& elf);

// Its parts as they are placed.
PlaceItem place_item(const ElfFile& elf, const MovableTables& tables);

class PackPlan {
 public:
  // `program`: its file. Symbols that it has copied into itself are relocated by ld.so in their
  // library first, which therefore is kept.
  PackPlan(std::shared_ptr<const LibraryFile> program, bool with_large);

  // Decides on the first call, and remembers.
  bool is_packed(const std::string& path);
  // To be called before `is_packed` of it.
  void keep(const std::string& path, std::string why);
  // Null if it isn't packed.
  const PackLibrary* library(const std::string& path) const;
  // Of those that were asked for: path, and why it is kept.
  const std::map<std::string, std::string>& kept() const { return kept_; }

 private:
  std::shared_ptr<const LibraryFile> program_;
  bool with_large_;
  std::set<std::string, std::less<>> copied_;  // symbols
  std::map<std::string, PackLibrary> packed_;
  std::map<std::string, std::string> kept_;
};

}  // namespace prewarm::image
