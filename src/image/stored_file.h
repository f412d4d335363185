// SPDX-License-Identifier: MIT
//
// A file of the store: what is known about an image, and the image, compressed. Read and written by
// `Store` (image/store.h) only.
//
//   StoredHeader | path of the program, no zero byte | one zstd frame: the image
//
// All numbers are little-endian.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "image/checksum.h"
#include "image/image.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

// ImageHeader::key.
using ImageKey = std::array<std::uint64_t, 2>;

inline constexpr char kStoredMagic[8] = {'P', 'W', 'S', 'T', 'O', 'R', 'E', '\0'};
inline constexpr std::uint32_t kStoredVersion = 1;

struct StoredHeader {
  char magic[8] = {};
  std::uint32_t version = 0;
  std::uint32_t header_bytes = 0;  // sizeof(StoredHeader)
  Checksum checksum{};             // of all that follows this field, up to the frame
  ImageKey key{};
  std::uint64_t image_bytes = 0;  // before it was compressed
  std::uint64_t frame_bytes = 0;  // the rest of the file
  std::uint64_t made_at_s = 0;    // as in the image
  std::uint64_t build_us = 0;
  std::uint32_t image_version = 0;
  std::uint32_t path_bytes = 0;
};
static_assert(sizeof(StoredHeader) == 88);

// What is known about an image without decompressing it.
struct StoredEntry {
  ImageKey key{};
  std::string program;             // its path
  std::uint64_t image_bytes = 0;   // in memory
  std::uint64_t stored_bytes = 0;  // the file
  std::uint64_t made_at_s = 0;     // since the epoch
  std::uint64_t build_us = 0;
  std::int64_t last_used_ns = 0;  // since the epoch; the file's modification time
};

// Writes all of it to an empty file, and waits for the disk.
os::Result<void> write_stored(const os::Fd& file, const Image& image);

// Errors as those of `Image::open`.
os::Result<StoredEntry> read_entry(const os::Fd& file);

// The image in a memfd that can still be changed. Its bytes are not checked.
os::Result<os::Fd> read_stored(const os::Fd& file);

}  // namespace prewarm::image
