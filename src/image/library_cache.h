// SPDX-License-Identifier: MIT
//
// Reads /etc/ld.so.cache as ld.so of glibc 2.36 does: "glibc-ld.so.cache1.1", the format that
// ldconfig writes since glibc 2.32 (elf/cache.c, sysdeps/generic/dl-cache.h), with glibc-hwcaps and
// with the older kind of entries for certain processors. Nothing in the file is trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/diagnostics.h"
#include "image/loader_facts.h"

namespace prewarm::image {

inline constexpr char kLibraryCachePath[] = "/etc/ld.so.cache";

class LibraryCache {
 public:
  // `file` must live as long as the result. Nothing if anything was reported. An entry whose
  // strings lie outside the file is passed over when it is met, as ld.so does.
  static std::optional<LibraryCache> read(std::span<const std::byte> file, const LoaderFacts& facts,
                                          Diagnostics& diagnostics);

  // Where the library of that name is, as far as the cache knows, for the processor of `facts`.
  // Lies in the file's bytes. Nothing if it isn't there.
  std::optional<std::string_view> find(std::string_view name) const;

  std::size_t size() const { return count_; }

 private:
  struct Entry {
    std::int32_t flags;
    std::uint32_t name;  // offsets in the file
    std::uint32_t path;
    std::uint32_t kernel;  // the oldest that it is for; 0: any
    std::uint64_t capabilities;
  };
  static_assert(sizeof(Entry) == 24);

  LibraryCache() = default;
  Entry entry(std::size_t i) const;
  std::optional<std::string_view> string(std::uint32_t offset) const;
  bool read_subdirectories(std::uint32_t offset, const LoaderFacts& facts,
                           Diagnostics& diagnostics);
  // How good an entry for a subdirectory of glibc-hwcaps is: 1 is best, 0 not usable.
  std::uint32_t priority_of(const Entry& entry) const;
  bool fits_processor(const Entry& entry) const;

  std::span<const std::byte> file_;
  std::size_t count_ = 0;
  std::vector<std::uint32_t> priorities_;  // of the subdirectories, by their numbers in the file
  unsigned level_ = 0;                     // of x86-64-v(level + 1)
  std::uint64_t capabilities_ = 0;         // of the older kind, those that may be asked for
  std::uint64_t platform_ = 0;
};

}  // namespace prewarm::image
