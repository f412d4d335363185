// SPDX-License-Identifier: MIT
//
// What a map request wants an image of.
#pragma once

#include <sys/stat.h>

#include <compare>
#include <cstdint>
#include <string>

#include "image/format.h"
#include "os/clock.h"

namespace prewarm::image {

// A file as it was at some time. Written to or replaced, it is another.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;

  static FileIdentity of(const struct stat& s) {
    return {s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size), os::ns_of(s.st_mtim),
            os::ns_of(s.st_ctim)};
  }
  static FileIdentity of(const ImageFile& f) {
    return {f.device, f.inode, f.size, f.modified_ns, f.changed_ns};
  }
  auto operator<=>(const FileIdentity&) const = default;
};

enum class Variant : std::uint8_t { any, packed, plain };

struct MapTarget {
  FileIdentity program;
  std::uint64_t stack_limit = 0;
  Variant variant = Variant::any;
  std::string path;  // how it was called; the same file may have others

  // Whether an image of one is an image of the other.
  auto operator<=>(const MapTarget&) const = default;
};

}  // namespace prewarm::image
