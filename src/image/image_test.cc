// SPDX-License-Identifier: MIT
#include "image/image.h"

#include <errno.h>

#include <functional>

#include "image/testing.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

class ImageReader : public os::LeavesNothing {
 protected:
  // What is said of an image that is changed so, and whose checksum fits.
  std::string changed(const std::function<void(ImageHeader&)>& change) {
    return with_bytes([&](std::vector<std::uint8_t>& b) { change(header_of(b)); });
  }
  template <class T>
  std::string changed(ImageTable ImageHeader::* table, std::size_t index,
                      const std::function<void(T&)>& change) {
    return with_bytes(
        [&](std::vector<std::uint8_t>& b) { change(entries<T>(b, header_of(b).*table)[index]); });
  }
  std::string region(std::size_t index, const std::function<void(ImageRegion&)>& change) {
    return changed<ImageRegion>(&ImageHeader::regions, index, change);
  }
  std::string file(std::size_t index, const std::function<void(ImageFile&)>& change) {
    return changed<ImageFile>(&ImageHeader::files, index, change);
  }
  std::string patch(std::size_t index, const std::function<void(ImagePatch&)>& change) {
    return changed<ImagePatch>(&ImageHeader::patches, index, change);
  }
  std::string slide(std::size_t index, const std::function<void(ImageSlide&)>& change) {
    return changed<ImageSlide>(&ImageHeader::slides, index, change);
  }

  std::string with_bytes(const std::function<void(std::vector<std::uint8_t>&)>& change) {
    auto bytes = bytes_;
    change(bytes);
    correct_checksum(bytes);
    const auto image = Image::open(bytes);
    if (image) return "accepted";
    const std::string message = image.error().message();
    const std::string start = "check the image: ";
    EXPECT_TRUE(message.starts_with(start));
    return message.substr(start.size());
  }

  std::vector<std::uint8_t> bytes_ = written(TestMemory().parts());
};

TEST_F(ImageReader, EveryFlippedByteIsRefused) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    bytes_[at] ^= 0x41;
    ASSERT_FALSE(Image::open(bytes_)) << at;
    bytes_[at] ^= 0x41;
  }
  EXPECT_TRUE(Image::open(bytes_));
}

TEST_F(ImageReader, EveryOtherLengthIsRefused) {
  for (std::size_t size = 0; size < bytes_.size(); ++size) {
    // Of exactly this size, so that a sanitizer sees what is read behind the end.
    const std::vector<std::uint8_t> part(bytes_.begin(),
                                         bytes_.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_FALSE(Image::open(part)) << size;
  }
  bytes_.resize(bytes_.size() + kPageSize);
  EXPECT_FALSE(Image::open(bytes_));
}

// Also with everything that is easily corrected: size and checksum.
TEST_F(ImageReader, MissingPagesAreNoticed) {
  for (std::size_t size = sizeof(ImageHeader); size < bytes_.size(); ++size) {
    auto part = std::vector(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size));
    header_of(part).total_bytes = size;
    correct_checksum(part);
    ASSERT_FALSE(Image::open(part)) << size;
  }
}

TEST_F(ImageReader, AnotherVersionIsTold) {
  header_of(bytes_).version = kImageVersion + 1;
  const auto image = Image::open(bytes_);
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, EPROTONOSUPPORT);
}

TEST_F(ImageReader, MemoryMustBeAligned) {
  std::vector<std::uint8_t> shifted(bytes_.size() + 1);
  std::ranges::copy(bytes_, shifted.begin() + 1);
  EXPECT_FALSE(Image::open(std::span(shifted).subspan(1)));
}

TEST_F(ImageReader, Headers) {
  using H = ImageHeader;
  EXPECT_EQ(changed([](H&) {}), "accepted");
  EXPECT_EQ(changed([](H& h) { h.magic[7] = 1; }), "it is no image");
  EXPECT_EQ(changed([](H& h) { h.header_bytes -= 8; }), "its header has another size");
  EXPECT_EQ(changed([](H& h) { h.total_bytes += kPageSize; }), "it isn't as long as it says");
  EXPECT_EQ(changed([](H& h) { h.arena_begin = kArenaLowest - kPageSize; }), "its arena");
  EXPECT_EQ(changed([](H& h) { h.arena_end = kArenaHighest + kPageSize; }), "its arena");
  EXPECT_EQ(changed([](H& h) { h.arena_end = h.arena_begin; }), "its arena");
  EXPECT_EQ(changed([](H& h) { ++h.arena_begin; }), "its arena");
  EXPECT_EQ(changed([](H& h) { h.alignment = 0x800; }), "its alignment");
  EXPECT_EQ(changed([](H& h) { h.alignment = 0x3000; }), "its alignment");
  EXPECT_EQ(changed([](H& h) { h.packed = h.objects + 1; }), "its number of objects");
}

TEST_F(ImageReader, Tables) {
  using H = ImageHeader;
  EXPECT_EQ(changed([](H& h) { h.regions.offset += 8; }), "its regions' table");
  EXPECT_EQ(changed([](H& h) { h.regions.count = ~0ULL; }), "its regions' table");
  EXPECT_EQ(changed([](H& h) { h.files.count = kMaxFiles + 1; }), "its files' table");
  EXPECT_EQ(changed([](H& h) { h.files.offset = h.regions.offset; }), "its files' table");
  EXPECT_EQ(changed([](H& h) { ++h.patches.count; }), "its files' table");
  EXPECT_EQ(changed([](H& h) { h.context_bytes = h.total_bytes; }), "its context's size");
  EXPECT_EQ(changed([](H& h) { h.slides.count = 1ULL << 61; }), "its slides' table");
  EXPECT_EQ(changed([](H& h) { h.strings.count = h.total_bytes; }), "its strings");
  EXPECT_EQ(changed([](H& h) { --h.strings.count; }), "its last string doesn't end");
  EXPECT_EQ(changed([](H& h) { h.strings.count = 0; }), "its last string doesn't end");
}

TEST_F(ImageReader, Files) {
  using F = ImageFile;
  EXPECT_EQ(changed([](ImageHeader& h) { h.mapped_files = 2; }), "its number of mapped files");
  EXPECT_EQ(changed([](ImageHeader& h) { h.mapped_files = 0; }), "a descriptor");
  EXPECT_EQ(changed([](ImageHeader& h) { h.mapped_files = kMaxMappedFiles + 1; }),
            "it maps too many files");
  EXPECT_EQ(file(0, [](F& f) { f.descriptor = 1; }), "a descriptor");
  EXPECT_EQ(file(0, [](F& f) { f.flags |= 32; }), "unknown flags of a file");
  EXPECT_EQ(file(0, [](F& f) { f.flags |= kFilePreloaded; }), "what is preloaded");
  EXPECT_EQ(file(1, [](F& f) { f.flags |= kFilePreloaded; }), "accepted");
  EXPECT_EQ(file(0, [](F& f) { f.flags |= kFileAbsent; }), "a file is there and absent");
  EXPECT_EQ(file(1, [](F& f) { f.path = 4; }), "accepted");  // the rest of a string: /bin/program
  EXPECT_EQ(file(1, [](F& f) { f.path = 2; }), "a file's path");
  EXPECT_EQ(file(1, [](F& f) { f.path = ~0ULL; }), "a file's path");
  EXPECT_EQ(file(1, [](F& f) { f.flags = kFileProgram; }), "its program");
  EXPECT_EQ(file(0, [](F& f) { f.flags = kFileMapped; }), "its program");
  EXPECT_EQ(file(1, [](F& f) { f.flags = 0; }), "its loader");
  EXPECT_EQ(file(2, [](F& f) { f.flags = kFileLoader; }), "its loader");
}

// By address: the program's page, text, data, zeros.
TEST_F(ImageReader, Regions) {
  using R = ImageRegion;
  EXPECT_EQ(changed([](ImageHeader& h) { h.arena_end = h.arena_begin + 0x40000; }),
            "a region is outside the arena");
  EXPECT_EQ(region(0, [](R& r) { r.address = 0; }), "a region is outside the arena");
  EXPECT_EQ(region(0, [](R& r) { r.address = kArenaLowest; }), "a region is outside the arena");
  EXPECT_EQ(region(1, [](R& r) { r.address = 0x400'000; }), "regions overlap or aren't by address");
  EXPECT_EQ(region(1, [](R& r) { r.size += kPageSize; }), "regions overlap or aren't by address");
  EXPECT_EQ(region(3, [](R& r) { r.size = ~0ULL << 12; }), "a region is outside the arena");
  EXPECT_EQ(region(3, [](R& r) { r.size = 0; }), "a region isn't whole pages");
  EXPECT_EQ(region(3, [](R& r) { r.size += 8; }), "a region isn't whole pages");
  EXPECT_EQ(region(3, [](R& r) { r.address += 8; }), "a region isn't whole pages");
  EXPECT_EQ(region(1, [](R& r) { r.protection = 7; }), "a region's protection");
  EXPECT_EQ(region(1, [](R& r) { r.protection = 8; }), "a region's protection");
  EXPECT_EQ(region(1, [](R& r) { r.flags = 4; }), "unknown flags of a region");
  const std::string not_patched = "a region that isn't to be patched";
  EXPECT_EQ(region(1, [](R& r) { r.flags = kRegionPatched; }), not_patched) << "executable";
  EXPECT_EQ(region(2, [](R& r) { r.flags = kRegionPatched; }), not_patched) << "writable";
  EXPECT_EQ(region(2,
                   [](R& r) {
                     r.flags = kRegionPatched;
                     r.protection = PROT_READ;
                   }),
            "its thread pointer")
      << "and no more of the region";
}

TEST_F(ImageReader, SourcesOfRegions) {
  using R = ImageRegion;
  EXPECT_EQ(region(3, [](R& r) { r.offset = kPageSize; }), "zeros have no offset");
  EXPECT_EQ(region(1, [](R& r) { r.offset = 0; }), "a region's contents are outside");
  EXPECT_EQ(region(2, [](R& r) { r.offset += kPageSize; }), "a region's contents are outside");
  EXPECT_EQ(region(2, [](R& r) { r.offset = ~0ULL << 12; }), "a region's contents are outside");
  EXPECT_EQ(region(0, [](R& r) { r.offset += kPageSize; }), "a region is behind its file's end");
  EXPECT_EQ(file(0, [](ImageFile& f) { f.size = ~0ULL; }), "a region is behind its file's end");
  EXPECT_EQ(region(0, [](R& r) { r.descriptor = 1; }), "a region's descriptor");
  EXPECT_EQ(region(1, [](R& r) { r.descriptor = 1; }), "a region's descriptor");
  EXPECT_EQ(region(0, [](R& r) { r.source = 1; }), "a region's file");
  EXPECT_EQ(region(0, [](R& r) { r.source = 3; }), "a region's file");
}

TEST_F(ImageReader, Patches) {
  using P = ImagePatch;
  EXPECT_EQ(patch(0, [](P& p) { p.role = PatchRole::count; }), "a patch's role");
  EXPECT_EQ(patch(0, [](P& p) { p.reserved = 1; }), "a patch's role");
  EXPECT_EQ(patch(0, [](P& p) { p.address += 4; }), "a patch isn't aligned");
  EXPECT_EQ(patch(1, [](P& p) { p.address -= 0x108; }), "patches overlap or aren't by address");
  EXPECT_EQ(patch(2, [](P& p) { p.address = ~7ULL; }), "a patch is outside");
  EXPECT_EQ(patch(2, [](P& p) { p.address = kTestArena + 0x50000; }),
            "a patch isn't in memory that can be changed");
  EXPECT_EQ(patch(0, [](P& p) { p.address = 0x400'100; }),
            "a patch isn't in memory that can be changed");
  EXPECT_EQ(patch(0, [](P& p) { p.address = kTestArena + 0x100; }),
            "a patch isn't in memory that can be changed");
}

TEST_F(ImageReader, Slides) {
  using S = ImageSlide;
  EXPECT_EQ(slide(1, [](S& s) { s.offset -= 9; }), "slides overlap or aren't by offset");
  EXPECT_EQ(slide(0, [](S& s) { s.offset = 0x40; }), "slides overlap or aren't by offset");
  EXPECT_EQ(slide(2, [&](S& s) { s.offset = bytes_.size() - 7; }),
            "a slide is outside the contents");
  EXPECT_EQ(slide(2, [](S& s) { ++s.offset; }), "a slide isn't an address in the arena");
}

TEST_F(ImageReader, WhereItStarts) {
  using H = ImageHeader;
  const std::string not_executable = "a start isn't in executable memory";
  EXPECT_EQ(changed([](H& h) { h.start = kTestArena + 0x1000; }), not_executable);
  EXPECT_EQ(changed([](H& h) { h.entry = 0x401'000; }), not_executable);
  EXPECT_EQ(changed([](H& h) { h.unmap_gadget = ~0ULL; }), not_executable);
  EXPECT_EQ(changed([](H& h) { h.program_headers = 0; }), "headers aren't in readable memory");
  EXPECT_EQ(changed([](H& h) { --h.loader_base; }), "headers aren't in readable memory");
}

TEST_F(ImageReader, TheThread) {
  using H = ImageHeader;
  const std::uint64_t end = kTestArena + 0x3000;  // of the data
  EXPECT_EQ(changed([](H& h) { h.thread.thread_pointer = kTestArena; }), "its thread pointer");
  EXPECT_EQ(changed([](H& h) { h.thread.thread_pointer += 4; }), "its thread pointer");
  EXPECT_EQ(changed([](H& h) { h.thread.tid_address = 0; }), "where its thread id is");
  EXPECT_EQ(changed([&](H& h) { h.thread.robust_list = end - 16; }), "its robust list");
  EXPECT_EQ(changed([&](H& h) { h.thread.robust_list = end - 24; }), "accepted");
  EXPECT_EQ(changed([](H& h) { h.thread.robust_list_size = 32; }), "its robust list");
  const auto rseq = [&](std::uint64_t area, std::uint64_t size) {
    return changed([&](H& h) {
      h.thread.rseq_area = area;
      h.thread.rseq_size = size;
    });
  };
  EXPECT_EQ(rseq(end - 32, 32), "accepted");
  EXPECT_EQ(rseq(end - 32, 64), "its rseq area");
  EXPECT_EQ(rseq(end - 48, 32), "its rseq area");
  EXPECT_EQ(rseq(end - 64, ~0ULL), "its rseq area");
}

TEST_F(ImageReader, TheVdso) {
  using H = ImageHeader;
  EXPECT_EQ(changed([](H& h) { h.conditions.vdso_size += kPageSize; }), "its vDSO's size");
  EXPECT_EQ(changed([](H& h) { h.vdso.size += kPageSize; }), "its vDSO's parts");
  EXPECT_EQ(changed([](H& h) { h.vdso.part_sizes[0] += kPageSize; }), "its vDSO's parts");
  EXPECT_EQ(changed([](H& h) { h.vdso.part_sizes[2] = ~0ULL << 12; }), "its vDSO's parts");
  EXPECT_EQ(changed([](H& h) { std::swap(h.vdso.part_sizes[1], h.vdso.part_sizes[2]); }),
            "its vDSO's parts");
  EXPECT_EQ(changed([](H& h) { h.vdso.address = 0x7fff'0000'0000; }), "its vDSO");
  EXPECT_EQ(changed([](H& h) { h.vdso.code = h.vdso.address + h.vdso.size; }), "its vDSO");
  EXPECT_EQ(changed([](H& h) {
              h.vdso.address = kTestArena + 0x48000;
              h.vdso.code = kTestArena + 0x4c000;
            }),
            "its vDSO is in a region");
  EXPECT_EQ(changed([](H& h) {
              h.vdso = {};
              h.conditions.vdso_size = 0;
            }),
            "accepted");
}

}  // namespace
}  // namespace prewarm::image
