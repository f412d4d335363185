// SPDX-License-Identifier: MIT
//
// The reader of images: whatever it accepts can be read in all its parts and used as
// docs/image-format.md says, is moved there and back without a trace, and isn't accepted with any
// byte changed.
//
// Input: an image that may be short of its last zeros, and whose magic, version, sizes and checksum
// are made right, as hardly an input would have them.
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

#include "image/checksum.h"
#include "image/image.h"
#include "image/move.h"
#include "invariant.h"

namespace {

using namespace prewarm::image;

using Bytes = std::vector<std::uint8_t>;  // aligned, as memory from new is

constexpr std::uint64_t kMaxPages = 16;

// Reads every byte, so that a sanitizer sees what isn't there.
std::uint64_t read_all(std::span<const std::uint8_t> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
}

ImageHeader& header_of(Bytes& bytes) { return *reinterpret_cast<ImageHeader*>(bytes.data()); }

Bytes made_right(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, data + size);
  bytes.resize(std::max(size, sizeof(ImageHeader)));
  const std::uint64_t wanted = header_of(bytes).total_bytes / kPageSize;
  const std::uint64_t pages = (bytes.size() + kPageSize - 1) / kPageSize;
  bytes.resize(std::clamp(wanted, pages, std::max(pages, kMaxPages)) * kPageSize);
  ImageHeader& header = header_of(bytes);
  std::memcpy(header.magic, kImageMagic, sizeof kImageMagic);
  header.version = kImageVersion;
  header.header_bytes = sizeof header;
  header.total_bytes = bytes.size();
  std::ranges::copy(checksum_of(std::span(bytes).subspan(kChecksummedFrom)), header.checksum);
  return bytes;
}

void regions_must_hold(const Image& image) {
  const ImageHeader& h = image.header();
  std::uint64_t end = 0;
  for (const ImageRegion& region : image.regions()) {
    PREWARM_MUST(region.address >= end && region.size > 0);
    end = region.address + region.size;
    PREWARM_MUST(end > region.address && end <= kArenaHighest);
    PREWARM_MUST(end <= kArenaLowest || (region.address >= h.arena_begin && end <= h.arena_end));
    PREWARM_MUST((region.address | region.size | region.offset) % kPageSize == 0);
    constexpr std::uint32_t kBoth = PROT_WRITE | PROT_EXEC;
    PREWARM_MUST((region.protection & kBoth) != kBoth);
    PREWARM_MUST(image.find(region.address) == &region && image.find(end - 1) == &region);
    const auto contents = image.contents(region);
    PREWARM_MUST(contents.size() == (region.source == kSourceImage ? region.size : 0));
    read_all(contents);
    if (region.source >= kSourceImage) continue;
    PREWARM_MUST(region.source < image.files().size());
    PREWARM_MUST(region.descriptor < h.mapped_files);
  }
}

void rest_must_hold(const Image& image) {
  for (const ImageFile& file : image.files()) PREWARM_MUST(image.path(file).starts_with('/'));
  for (const ImagePatch& patch : image.patches()) {
    const ImageRegion* region = image.find(patch.address + patch_size(patch.role) - 1);
    PREWARM_MUST(region != nullptr && region == image.find(patch.address));
    PREWARM_MUST((region->protection & PROT_WRITE) != 0 || (region->flags & kRegionPatched) != 0);
    PREWARM_MUST((region->protection & PROT_EXEC) == 0);
  }
  for (const ImageSlide& slide : image.slides()) {
    PREWARM_MUST(slide.offset >= image.contents_offset());
    read_all(image.bytes().subspan(slide.offset, sizeof(std::uint64_t)));
  }
  const ImageHeader& h = image.header();
  for (const std::uint64_t address : {h.start, h.entry, h.unmap_gadget}) {
    const ImageRegion* region = image.find(address);
    PREWARM_MUST(region != nullptr && (region->protection & PROT_EXEC) != 0);
  }
  PREWARM_MUST(h.context_bytes <= image.contents_offset());
}

void must_move(const Bytes& bytes, std::uint64_t wanted) {
  Bytes moved = bytes;
  const std::uint64_t was = header_of(moved).arena_begin;
  const std::uint64_t arena = arena_near(header_of(moved), wanted);
  PREWARM_MUST(move_image(moved, arena).has_value());
  const auto image = Image::open(moved);
  PREWARM_MUST(image.has_value());
  PREWARM_MUST(image->header().arena_begin == arena);
  regions_must_hold(*image);
  rest_must_hold(*image);
  PREWARM_MUST(move_image(moved, was).has_value());
  PREWARM_MUST(moved == bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kMaxPages * kPageSize) return 0;
  (void)Image::open(Bytes(data, data + size));

  Bytes bytes = made_right(data, size);
  const auto image = Image::open(bytes);
  if (!image) return 0;
  regions_must_hold(*image);
  rest_must_hold(*image);

  const Checksum some = checksum_of({data, size});
  must_move(bytes, some[0] >> 17);
  // All of a small image in unit tests; here one byte of each of many.
  const std::size_t at = some[1] % bytes.size();
  const auto flip = static_cast<std::uint8_t>(1 + (some[0] & 127));
  bytes[at] ^= flip;
  PREWARM_MUST(!Image::open(bytes));
  bytes[at] ^= flip;
  PREWARM_MUST(!Image::open(std::span(bytes).first(at)));
  return 0;
}
