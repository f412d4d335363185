// SPDX-License-Identifier: MIT
//
// Makes images (image/format.h) out of what is to be in them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "image/format.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

// A row of pages with one protection.
struct RegionPart {
  std::uint64_t address = 0;
  std::uint64_t size = 0;        // whole pages
  std::uint32_t protection = 0;  // PROT_*
  std::uint32_t flags = 0;       // kRegion*; kRegionPatched is set as the patches need it
  // The pages are those of this file, an index into ImageParts::files. Without a file they are
  // `bytes`, and zeros behind their end.
  std::optional<std::uint32_t> file;
  std::uint64_t file_offset = 0;
  std::span<const std::uint8_t> bytes;
};

struct FilePart {
  std::string path;
  // As it is in the image, but for `path` and `descriptor`, which are filled in.
  ImageFile file;
};

struct ImageParts {
  // Filled in here: magic, version, sizes, checksum, the tables and `mapped_files`.
  ImageHeader header;
  std::vector<RegionPart> regions;  // in any order, like all but the files
  std::vector<FilePart> files;      // the program first
  std::vector<ImagePatch> patches;
  // Where in the regions' bytes the words are that are addresses in the arena. Each lies wholly in
  // one region.
  std::vector<std::uint64_t> slides;
};

// The image, in a sealed memfd. Long rows of zero pages are kept out of it by regions of their own,
// and regions with equal contents share them. What is returned is what `Image::open` accepts; the
// error is its error, or that of a system call.
os::Result<os::Fd> write_image(ImageParts parts);

}  // namespace prewarm::image
