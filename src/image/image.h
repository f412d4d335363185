// SPDX-License-Identifier: MIT
//
// The checked reader of images (image/format.h, docs/image-format.md).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "image/format.h"
#include "os/result.h"

namespace prewarm::image {

// A view of an image in memory, of which everything that docs/image-format.md asks of a reader has
// been checked. It owns nothing: the bytes must stay, unchanged, as long as it.
class Image {
 public:
  // `bytes`: the whole image, aligned as a word of 8 bytes is (as memory from mmap or new is). It
  // is trusted in nothing. The error says what is wrong; its code is EPROTONOSUPPORT for an image
  // of another version, 0 for one that is damaged.
  static os::Result<Image> open(std::span<const std::uint8_t> bytes);

  std::span<const std::uint8_t> bytes() const { return bytes_; }
  const ImageHeader& header() const { return *reinterpret_cast<const ImageHeader*>(bytes_.data()); }
  std::span<const ImageRegion> regions() const { return table<ImageRegion>(header().regions); }
  std::span<const ImageFile> files() const { return table<ImageFile>(header().files); }
  std::span<const ImagePatch> patches() const { return table<ImagePatch>(header().patches); }
  std::span<const ImageSlide> slides() const { return table<ImageSlide>(header().slides); }

  // Absolute.
  std::string_view path(const ImageFile& file) const {
    return reinterpret_cast<const char*>(bytes_.data() + header().strings.offset + file.path);
  }
  // Header and tables end here, and the contents of memory begin.
  std::uint64_t contents_offset() const { return contents_offset_; }
  // What the region is filled with; nothing if that isn't in the image.
  std::span<const std::uint8_t> contents(const ImageRegion& region) const;
  // The region that the address is in, or null.
  const ImageRegion* find(std::uint64_t address) const;

 private:
  Image(std::span<const std::uint8_t> bytes, std::uint64_t contents_offset)
      : bytes_(bytes), contents_offset_(contents_offset) {}

  template <class T>
  std::span<const T> table(const ImageTable& where) const {
    return {reinterpret_cast<const T*>(bytes_.data() + where.offset), where.count};
  }

  std::span<const std::uint8_t> bytes_;
  std::uint64_t contents_offset_;
};

// The checksum is that of all bytes from here on.
inline constexpr std::size_t kChecksummedFrom = offsetof(ImageHeader, total_bytes);

// Bytes that a patch of this role changes: 4 or 8.
constexpr std::uint64_t patch_size(PatchRole role) {
  return role == PatchRole::thread_id || role == PatchRole::argc ? 4 : 8;
}

// `value` up to the next multiple of `unit`, a power of two.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) & ~(unit - 1);
}

}  // namespace prewarm::image
