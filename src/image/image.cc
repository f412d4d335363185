// SPDX-License-Identifier: MIT
#include "image/image.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "image/checksum.h"

namespace prewarm::image {
namespace {

using Checked = os::Result<void>;

constexpr const char* kOperation = "check the image:";
constexpr std::uint64_t kMaxPathBytes = 4096;  // PATH_MAX, with the zero byte

std::unexpected<os::Error> wrong(const char* what) { return os::failed_with(0, kOperation, what); }

// Whether `size` units from `at` on lie below `limit`.
constexpr bool fits(std::uint64_t at, std::uint64_t size, std::uint64_t limit) {
  return size <= limit && at <= limit - size;
}
constexpr bool is_paged(std::uint64_t value) { return value % kPageSize == 0; }

std::uint64_t word_at(std::span<const std::uint8_t> bytes, std::uint64_t offset) {
  std::uint64_t word;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

// The region that ends above the address first, as regions are by address.
const ImageRegion* first_above(std::span<const ImageRegion> regions, std::uint64_t address) {
  const auto at = std::ranges::partition_point(
      regions, [&](const ImageRegion& r) { return r.address + r.size <= address; });
  return at == regions.end() ? nullptr : &*at;
}

// The steps of `open`, in this order: each relies on those before it.
class Check {
 public:
  explicit Check(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  Checked header();
  Checked tables();
  Checked files();
  Checked regions();
  Checked patches();
  Checked slides();
  Checked start();
  Checked thread();
  Checked vdso();

  std::uint64_t contents_offset() const { return contents_; }

 private:
  const ImageHeader& h() const { return *reinterpret_cast<const ImageHeader*>(bytes_.data()); }
  template <class T>
  std::span<const T> table(const ImageTable& where) const {
    return {reinterpret_cast<const T*>(bytes_.data() + where.offset), where.count};
  }
  bool in_arena(std::uint64_t address, std::uint64_t size) const {
    return address >= h().arena_begin && fits(address, size, h().arena_end);
  }
  Checked region(const ImageRegion& region) const;
  Checked source(const ImageRegion& region) const;
  bool has(std::uint64_t address, std::uint64_t size, std::uint32_t protection) const;

  std::span<const std::uint8_t> bytes_;
  std::uint64_t contents_ = 0;
};

Checked Check::header() {
  if (reinterpret_cast<std::uintptr_t>(bytes_.data()) % alignof(ImageHeader) != 0) {
    return wrong("it isn't aligned in memory");
  }
  if (bytes_.size() < sizeof(ImageHeader)) return wrong("it is shorter than a header");
  if (std::memcmp(h().magic, kImageMagic, sizeof kImageMagic) != 0) return wrong("it is no image");
  if (h().version != kImageVersion) {
    return os::failed_with(EPROTONOSUPPORT, kOperation, "version " + std::to_string(h().version));
  }
  if (h().header_bytes != sizeof(ImageHeader)) return wrong("its header has another size");
  if (h().total_bytes != bytes_.size()) return wrong("it isn't as long as it says");
  if (h().total_bytes > kMaxImageBytes || !is_paged(h().total_bytes)) return wrong("its size");
  const Checksum sum = checksum_of(bytes_.subspan(kChecksummedFrom));
  if (sum[0] != h().checksum[0] || sum[1] != h().checksum[1]) return wrong("its checksum");
  if (!is_paged(h().arena_begin) || !is_paged(h().arena_end) || h().arena_begin < kArenaLowest ||
      h().arena_begin >= h().arena_end || h().arena_end > kArenaHighest) {
    return wrong("its arena");
  }
  if (!std::has_single_bit(h().alignment) || h().alignment < kPageSize) {
    return wrong("its alignment");
  }
  if (h().packed > h().objects || h().objects > kMaxFiles) return wrong("its number of objects");
  return {};
}

// One after the other, without room for anything between them.
Checked Check::tables() {
  std::uint64_t end = sizeof(ImageHeader);
  const auto follows = [&](const ImageTable& where, std::uint64_t entry, std::uint64_t bound) {
    if (where.offset != end || where.count > bound) return false;
    if (!fits(where.offset, where.count * entry, h().total_bytes)) return false;
    end = round_up(where.offset + where.count * entry, alignof(std::uint64_t));
    return true;
  };
  if (!follows(h().regions, sizeof(ImageRegion), kMaxRegions)) return wrong("its regions' table");
  if (!follows(h().patches, sizeof(ImagePatch), kMaxPatches)) return wrong("its patches' table");
  if (!follows(h().files, sizeof(ImageFile), kMaxFiles)) return wrong("its files' table");
  if (h().context_bytes != h().files.offset + sizeof(ImageFile)) return wrong("its context's size");
  if (!follows(h().slides, sizeof(ImageSlide), h().total_bytes / sizeof(ImageSlide))) {
    return wrong("its slides' table");
  }
  if (!follows(h().strings, 1, kMaxFiles * kMaxPathBytes)) return wrong("its strings");
  contents_ = round_up(end, kPageSize);
  const auto strings = table<std::uint8_t>(h().strings);
  if (strings.empty() || strings.back() != 0) return wrong("its last string doesn't end");
  return {};
}

Checked Check::files() {
  constexpr std::uint32_t kKnown =
      kFileMapped | kFileProgram | kFileLoader | kFileAbsent | kFilePreloaded;
  const auto files = table<ImageFile>(h().files);
  const auto strings = table<char>(h().strings);
  if (h().mapped_files > kMaxMappedFiles) return wrong("it maps too many files");
  std::vector<bool> seen(h().mapped_files);
  std::uint32_t mapped = 0, programs = 0, loaders = 0, preloaded = 0;
  for (const ImageFile& file : files) {
    if ((file.flags & ~kKnown) != 0) return wrong("unknown flags of a file");
    if ((file.flags & kFileAbsent) != 0 && file.flags != kFileAbsent) {
      return wrong("a file is there and absent");
    }
    if (file.path >= strings.size() || strings[file.path] != '/') return wrong("a file's path");
    const std::uint64_t room = std::min<std::uint64_t>(strings.size() - file.path, kMaxPathBytes);
    if (std::memchr(strings.data() + file.path, 0, room) == nullptr) return wrong("a file's path");
    if ((file.flags & kFileProgram) != 0) ++programs;
    if ((file.flags & kFileLoader) != 0) ++loaders;
    if ((file.flags & kFilePreloaded) != 0) ++preloaded;
    if ((file.flags & kFileMapped) == 0) continue;
    if (file.descriptor >= seen.size() || seen[file.descriptor]) return wrong("a descriptor");
    seen[file.descriptor] = true;
    ++mapped;
  }
  if (mapped != h().mapped_files) return wrong("its number of mapped files");
  if (programs != 1 || (files[0].flags & kFileProgram) == 0) return wrong("its program");
  if (loaders != 1 || (files[0].flags & kFileLoader) != 0) return wrong("its loader");
  if (preloaded > 1 || (files[0].flags & kFilePreloaded) != 0) return wrong("what is preloaded");
  return {};
}

Checked Check::regions() {
  const auto regions = table<ImageRegion>(h().regions);
  if (regions.empty()) return wrong("it has no regions");
  std::uint64_t end = 0;
  for (const ImageRegion& r : regions) {
    if (r.address < end) return wrong("regions overlap or aren't by address");
    if (auto checked = region(r); !checked) return checked;
    if (auto checked = source(r); !checked) return checked;
    end = r.address + r.size;
  }
  return {};
}

Checked Check::region(const ImageRegion& r) const {
  if (r.size == 0 || !is_paged(r.address) || !is_paged(r.size) || !is_paged(r.offset)) {
    return wrong("a region isn't whole pages");
  }
  const bool is_fixed = r.address >= kPageSize && fits(r.address, r.size, kArenaLowest);
  if (!is_fixed && !in_arena(r.address, r.size)) return wrong("a region is outside the arena");
  if ((r.protection & ~std::uint32_t{PROT_READ | PROT_WRITE | PROT_EXEC}) != 0 ||
      (r.protection & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC)) {
    return wrong("a region's protection");
  }
  if ((r.flags & ~(kRegionPopulate | kRegionPatched)) != 0) {
    return wrong("unknown flags of a region");
  }
  // Such a region is writable while a program starts: never one that is executable, too.
  if ((r.flags & kRegionPatched) != 0 &&
      ((r.protection & (PROT_WRITE | PROT_EXEC)) != 0 || r.source != kSourceImage)) {
    return wrong("a region that isn't to be patched");
  }
  return {};
}

Checked Check::source(const ImageRegion& r) const {
  if (r.source >= kSourceImage && r.descriptor != 0) return wrong("a region's descriptor");
  if (r.source == kSourceZeros) {
    return r.offset == 0 ? Checked{} : wrong("zeros have no offset");
  }
  if (r.source == kSourceImage) {
    const bool is_inside = r.offset >= contents_ && fits(r.offset, r.size, h().total_bytes);
    return is_inside ? Checked{} : wrong("a region's contents are outside");
  }
  const auto files = table<ImageFile>(h().files);
  if (r.source >= files.size() || (files[r.source].flags & kFileMapped) == 0) {
    return wrong("a region's file");
  }
  if (r.descriptor != files[r.source].descriptor) return wrong("a region's descriptor");
  // Its last page may be partly behind the end, but no page may be wholly: touching it kills.
  const std::uint64_t size = files[r.source].size;
  if (size > INT64_MAX || !fits(r.offset, r.size, round_up(size, kPageSize))) {
    return wrong("a region is behind its file's end");
  }
  return {};
}

// Whether regions with this protection have all of it.
bool Check::has(std::uint64_t address, std::uint64_t size, std::uint32_t protection) const {
  if (!fits(address, size, kArenaHighest)) return false;
  const auto regions = table<ImageRegion>(h().regions);
  const ImageRegion* r = first_above(regions, address);
  for (const std::uint64_t end = address + size; address < end; ++r) {
    if (r == nullptr || r == regions.data() + regions.size()) return false;
    if (r->address > address || (r->protection & protection) != protection) return false;
    address = r->address + r->size;
  }
  return true;
}

Checked Check::patches() {
  const auto regions = table<ImageRegion>(h().regions);
  std::uint64_t end = 0;
  for (const ImagePatch& patch : table<ImagePatch>(h().patches)) {
    if (patch.role >= PatchRole::count || patch.reserved != 0) return wrong("a patch's role");
    const std::uint64_t size = patch_size(patch.role);
    if (patch.address % size != 0) return wrong("a patch isn't aligned");
    if (patch.address < end) return wrong("patches overlap or aren't by address");
    if (!fits(patch.address, size, kArenaHighest)) return wrong("a patch is outside");
    const ImageRegion* r = first_above(regions, patch.address);  // which has all of it: aligned
    if (r == nullptr || r->address > patch.address ||
        ((r->protection & PROT_WRITE) == 0 && (r->flags & kRegionPatched) == 0)) {
      return wrong("a patch isn't in memory that can be changed");
    }
    end = patch.address + size;
  }
  return {};
}

Checked Check::slides() {
  std::uint64_t end = contents_;
  for (const ImageSlide& slide : table<ImageSlide>(h().slides)) {
    if (slide.offset < end) return wrong("slides overlap or aren't by offset");
    if (!fits(slide.offset, sizeof(std::uint64_t), h().total_bytes)) {
      return wrong("a slide is outside the contents");
    }
    // What points behind the last byte does so, too.
    const std::uint64_t address = word_at(bytes_, slide.offset);
    if (address < h().arena_begin || address > h().arena_end) {
      return wrong("a slide isn't an address in the arena");
    }
    end = slide.offset + sizeof(std::uint64_t);
  }
  return {};
}

Checked Check::start() {
  for (const std::uint64_t address : {h().start, h().entry, h().unmap_gadget}) {
    if (!has(address, 1, PROT_EXEC)) return wrong("a start isn't in executable memory");
  }
  for (const std::uint64_t address : {h().program_headers, h().loader_base}) {
    if (!has(address, 1, PROT_READ)) return wrong("headers aren't in readable memory");
  }
  return {};
}

Checked Check::thread() {
  // The kernel takes no list head of another size, and no area that isn't aligned so.
  constexpr std::uint64_t kRobustListBytes = 24, kRseqAlignment = 32, kMaxRseqBytes = 4096;
  const ImageThread& t = h().thread;
  const auto writable = [&](std::uint64_t address, std::uint64_t size, std::uint64_t alignment) {
    return address % alignment == 0 && has(address, size, PROT_READ | PROT_WRITE);
  };
  if (!writable(t.thread_pointer, 8, 8)) return wrong("its thread pointer");
  if (!writable(t.tid_address, 4, 4)) return wrong("where its thread id is");
  if (t.robust_list_size != kRobustListBytes || !writable(t.robust_list, kRobustListBytes, 8)) {
    return wrong("its robust list");
  }
  if (t.rseq_area == 0) return {};
  if (t.rseq_size < kRseqAlignment || t.rseq_size > kMaxRseqBytes ||
      !writable(t.rseq_area, t.rseq_size, kRseqAlignment)) {
    return wrong("its rseq area");
  }
  return {};
}

Checked Check::vdso() {
  const ImageVdso& v = h().vdso;
  std::uint64_t end = 0;
  bool is_last = false;
  for (const std::uint64_t size : v.part_sizes) {
    if (!is_paged(size) || !fits(end, size, v.size) || (is_last && size != 0)) {
      return wrong("its vDSO's parts");
    }
    is_last = size == 0;
    end += size;
  }
  if (end != v.size) return wrong("its vDSO's parts");
  if (v.size != h().conditions.vdso_size) return wrong("its vDSO's size");
  if (v.size == 0) return v.address == 0 && v.code == 0 ? Checked{} : wrong("its vDSO");
  if (!is_paged(v.address) || !in_arena(v.address, v.size) || !is_paged(v.code) ||
      v.code < v.address || v.code - v.address >= v.size) {
    return wrong("its vDSO");
  }
  const ImageRegion* r = first_above(table<ImageRegion>(h().regions), v.address);
  if (r != nullptr && r->address < v.address + v.size) return wrong("its vDSO is in a region");
  return {};
}

}  // namespace

os::Result<Image> Image::open(std::span<const std::uint8_t> bytes) {
  Check check(bytes);
  for (const auto step :
       {&Check::header, &Check::tables, &Check::files, &Check::regions, &Check::patches,
        &Check::slides, &Check::start, &Check::thread, &Check::vdso}) {
    if (auto checked = (check.*step)(); !checked) return std::unexpected(checked.error());
  }
  return Image(bytes, check.contents_offset());
}

std::span<const std::uint8_t> Image::contents(const ImageRegion& region) const {
  if (region.source != kSourceImage) return {};
  return bytes_.subspan(region.offset, region.size);
}

const ImageRegion* Image::find(std::uint64_t address) const {
  const ImageRegion* region = first_above(regions(), address);
  return region != nullptr && region->address <= address ? region : nullptr;
}

}  // namespace prewarm::image
