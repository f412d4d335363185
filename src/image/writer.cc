// SPDX-License-Identifier: MIT
#include "image/writer.h"

#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "image/checksum.h"
#include "image/image.h"
#include "image/memfd.h"

namespace prewarm::image {
namespace {

constexpr const char* kOperation = "write the image:";

// A region costs each start a system call, as much as some tens of pages of zeros cost memory once;
// shorter rows of zeros stay where they are.
constexpr std::uint64_t kLeastZeros = 32 * kPageSize;

constexpr std::array<std::uint8_t, kPageSize> kZeroPage{};

std::unexpected<os::Error> wrong(const char* what) { return os::failed_with(0, kOperation, what); }

// A part of the contents: what one region has in the image.
struct Content {
  std::span<const std::uint8_t> bytes;  // zeros follow
  std::uint64_t size = 0;               // whole pages
  std::uint64_t address = 0;            // of the first region that has it
  std::span<const std::uint64_t> slides;
  std::uint64_t offset = 0;  // from the beginning of the contents
};

// Equal in all: also in where there are addresses, as a number that only looks like one stays when
// the image is moved.
bool is_equal(const Content& a, const Content& b) {
  return a.size == b.size && std::ranges::equal(a.bytes, b.bytes) &&
         std::ranges::equal(a.slides, b.slides, [&](std::uint64_t x, std::uint64_t y) {
           return x - a.address == y - b.address;
         });
}

bool is_zero(std::span<const std::uint8_t> bytes) {
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

class Writer {
 public:
  explicit Writer(ImageParts parts) : parts_(std::move(parts)), header_(parts_.header) {}

  os::Result<os::Fd> write();

 private:
  using Done = os::Result<void>;

  void add_files();
  Done add_region(const RegionPart& part);
  void add_zeros(const RegionPart& part, std::uint64_t from, std::uint64_t to);
  void add_contents(const RegionPart& part, std::uint64_t from, std::uint64_t to,
                    std::span<const std::uint64_t> slides);
  Done lay_out();
  Done write_contents(const os::Fd& fd, ChecksumStream& sum) const;

  template <class T>
  ImageTable append(const std::vector<T>& entries) {
    tables_.resize(round_up(tables_.size(), alignof(std::uint64_t)));
    const ImageTable where{sizeof(ImageHeader) + tables_.size(), entries.size()};
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(entries.data());
    tables_.insert(tables_.end(), bytes, bytes + entries.size() * sizeof(T));
    return where;
  }

  ImageParts parts_;
  ImageHeader header_;
  std::vector<ImageRegion> regions_;
  std::vector<ImageFile> files_;
  std::vector<char> strings_;
  std::vector<Content> contents_;
  std::multimap<Checksum, std::size_t> by_sum_;  // of a content's bytes
  std::uint64_t contents_size_ = 0;
  std::size_t slides_seen_ = 0;
  std::vector<std::uint8_t> tables_;
};

os::Result<os::Fd> Writer::write() {
  std::ranges::sort(parts_.regions, {}, &RegionPart::address);
  std::ranges::sort(parts_.patches, {}, &ImagePatch::address);
  std::ranges::sort(parts_.slides);
  add_files();
  for (const RegionPart& part : parts_.regions) {
    if (auto added = add_region(part); !added) return std::unexpected(added.error());
  }
  if (slides_seen_ != parts_.slides.size()) return wrong("a slide is in no region");
  if (auto done = lay_out(); !done) return std::unexpected(done.error());

  auto fd = make_memfd("prewarm-image", header_.total_bytes);
  if (!fd) return fd;
  ChecksumStream sum;
  const auto* header = reinterpret_cast<const std::uint8_t*>(&header_);
  sum.add(std::span(header, sizeof header_).subspan(kChecksummedFrom));
  sum.add(tables_);
  if (auto done = write_contents(*fd, sum); !done) return std::unexpected(done.error());
  std::ranges::copy(sum.sum(), header_.checksum);
  if (auto done = write_at(*fd, {header, sizeof header_}, 0); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = seal(*fd); !done) return std::unexpected(done.error());

  auto mapping = Mapping::of(*fd);
  if (!mapping) return std::unexpected(mapping.error());
  if (auto image = Image::open(mapping->bytes()); !image) return std::unexpected(image.error());
  return fd;
}

void Writer::add_files() {
  header_.mapped_files = 0;
  for (FilePart& part : parts_.files) {
    ImageFile file = part.file;
    file.path = strings_.size();
    strings_.insert(strings_.end(), part.path.c_str(), part.path.c_str() + part.path.size() + 1);
    const bool is_mapped = (file.flags & kFileMapped) != 0;
    file.descriptor = is_mapped ? header_.mapped_files++ : 0;
    files_.push_back(file);
  }
}

Writer::Done Writer::add_region(const RegionPart& part) {
  if (part.size > kArenaHighest || part.address > kArenaHighest - part.size) {
    return wrong("a region is outside of memory");
  }
  const auto first = std::ranges::lower_bound(parts_.slides, part.address);
  const auto last = std::lower_bound(first, parts_.slides.end(), part.address + part.size);
  const std::span<const std::uint64_t> slides(first, last);
  slides_seen_ += slides.size();
  if (part.file) {
    if (!slides.empty()) return wrong("a slide in a file's pages");
    regions_.push_back(
        {part.address, part.size, part.file_offset, *part.file, part.protection, part.flags, 0});
    return {};
  }
  if (part.size == 0 || part.size % kPageSize != 0) return wrong("a region isn't whole pages");
  if (part.bytes.size() > part.size) return wrong("a region has more bytes than room");
  if (!slides.empty() && slides.back() - part.address + sizeof(std::uint64_t) > part.bytes.size()) {
    return wrong("a slide isn't within a region's bytes");
  }

  // The beginning of what isn't in `regions_` yet, and of the zeros that it ends with.
  std::uint64_t done = 0, zeros = 0;
  auto slide = slides.begin();
  for (std::uint64_t page = 0; page < part.bytes.size(); page += kPageSize) {
    const std::uint64_t begin = part.address + page;
    while (slide != slides.end() && *slide + sizeof(std::uint64_t) <= begin) ++slide;
    const bool has_slide = slide != slides.end() && *slide < begin + kPageSize;
    const std::uint64_t have = std::min<std::uint64_t>(kPageSize, part.bytes.size() - page);
    if (!has_slide && is_zero(part.bytes.subspan(page, have))) continue;
    if (page - zeros >= kLeastZeros) {
      add_contents(part, done, zeros, slides);
      add_zeros(part, zeros, page);
      done = page;
    }
    zeros = page + kPageSize;
  }
  const bool ends_with_zeros = zeros == 0 || part.size - zeros >= kLeastZeros;
  const std::uint64_t end = ends_with_zeros ? zeros : part.size;
  add_contents(part, done, end, slides);
  add_zeros(part, end, part.size);
  return {};
}

void Writer::add_zeros(const RegionPart& part, std::uint64_t from, std::uint64_t to) {
  if (from == to) return;
  regions_.push_back(
      {part.address + from, to - from, 0, kSourceZeros, part.protection, part.flags, 0});
}

void Writer::add_contents(const RegionPart& part, std::uint64_t from, std::uint64_t to,
                          std::span<const std::uint64_t> slides) {
  if (from == to) return;
  const std::uint64_t have = std::min<std::uint64_t>(to, part.bytes.size());
  const auto first = std::ranges::lower_bound(slides, part.address + from);
  const auto last = std::lower_bound(first, slides.end(), part.address + to);
  Content content{part.bytes.subspan(from, have - from), to - from, part.address + from,
                  std::span(first, last), contents_size_};

  const Checksum sum = checksum_of(content.bytes);
  const auto [equal_first, equal_last] = by_sum_.equal_range(sum);
  const auto same = std::find_if(equal_first, equal_last, [&](const auto& entry) {
    return is_equal(contents_[entry.second], content);
  });
  if (same != equal_last) {
    content.offset = contents_[same->second].offset;
  } else {
    by_sum_.emplace(sum, contents_.size());
    contents_.push_back(content);
    contents_size_ += content.size;
  }
  // Where the contents begin isn't known yet.
  regions_.push_back({content.address, content.size, content.offset, kSourceImage, part.protection,
                      part.flags, 0});
}

// Sizes and offsets are known from here on.
Writer::Done Writer::lay_out() {
  std::vector<ImageSlide> slides;
  for (const Content& content : contents_) {
    for (const std::uint64_t address : content.slides) {
      slides.push_back({content.offset + (address - content.address)});
    }
  }
  const std::uint64_t table_bytes =
      regions_.size() * sizeof(ImageRegion) + files_.size() * sizeof(ImageFile) +
      parts_.patches.size() * sizeof(ImagePatch) + slides.size() * sizeof(ImageSlide) +
      strings_.size();  // all of them but the last end aligned
  const std::uint64_t begin = round_up(sizeof(ImageHeader) + table_bytes, kPageSize);
  for (ImageRegion& region : regions_) {
    if (region.source == kSourceImage) region.offset += begin;
  }
  for (ImageSlide& slide : slides) slide.offset += begin;

  std::ranges::copy(kImageMagic, header_.magic);
  header_.version = kImageVersion;
  header_.header_bytes = sizeof(ImageHeader);
  header_.total_bytes = begin + contents_size_;
  if (header_.total_bytes > kMaxImageBytes) return os::failed_with(EFBIG, kOperation);
  for (ImageRegion& region : regions_) {
    if (region.source < files_.size()) region.descriptor = files_[region.source].descriptor;
    const auto patch =
        std::ranges::lower_bound(parts_.patches, region.address, {}, &ImagePatch::address);
    const bool has_patch =
        patch != parts_.patches.end() && patch->address - region.address < region.size;
    region.flags &= ~kRegionPatched;
    if (has_patch && (region.protection & PROT_WRITE) == 0) region.flags |= kRegionPatched;
  }
  header_.regions = append(regions_);
  header_.patches = append(parts_.patches);
  header_.files = append(files_);
  header_.context_bytes = header_.files.offset + sizeof(ImageFile);
  header_.slides = append(slides);
  header_.strings = append(strings_);
  tables_.resize(begin - sizeof(ImageHeader));
  return {};
}

Writer::Done Writer::write_contents(const os::Fd& fd, ChecksumStream& sum) const {
  if (auto done = write_at(fd, tables_, sizeof(ImageHeader)); !done) return done;
  std::uint64_t at = sizeof(ImageHeader) + tables_.size();
  for (const Content& content : contents_) {
    if (auto done = write_at(fd, content.bytes, at); !done) return done;
    sum.add(content.bytes);
    for (std::uint64_t rest = content.size - content.bytes.size(); rest > 0;) {
      const std::uint64_t n = std::min<std::uint64_t>(rest, kZeroPage.size());
      sum.add(std::span(kZeroPage).first(n));
      rest -= n;
    }
    at += content.size;
  }
  return {};
}

}  // namespace

os::Result<os::Fd> write_image(ImageParts parts) { return Writer(std::move(parts)).write(); }

}  // namespace prewarm::image
