// SPDX-License-Identifier: MIT
#include "image/writer.h"

#include <errno.h>

#include "image/testing.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

class Writer : public os::LeavesNothing {
 protected:
  std::string refused(ImageParts parts) {
    auto fd = write_image(std::move(parts));
    return fd ? "" : fd.error().message();
  }

  TestMemory memory;
};

std::uint64_t word_at(std::span<const std::uint8_t> bytes, std::uint64_t offset) {
  std::uint64_t word;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

TEST_F(Writer, WhatIsWrittenIsRead) {
  const auto bytes = written(memory.parts());
  const auto image = Image::open(bytes);
  ASSERT_TRUE(image) << image.error().message();
  EXPECT_EQ(image->header().key[1], 0x2222U);
  ASSERT_EQ(image->regions().size(), 4U);
  const ImageRegion& program = image->regions()[0];
  EXPECT_EQ(program.address, 0x400'000U);
  EXPECT_EQ(program.source, 0U);
  EXPECT_EQ(program.offset, 0x1000U);
  EXPECT_TRUE(image->contents(program).empty());
  EXPECT_TRUE(std::ranges::equal(image->contents(image->regions()[1]), memory.text));
  const auto data = image->contents(image->regions()[2]);
  ASSERT_EQ(data.size(), 2 * kPageSize);
  EXPECT_TRUE(std::ranges::equal(data.first(memory.data.size()), memory.data));
  EXPECT_EQ(data.back(), 0);
  EXPECT_EQ(image->regions()[3].source, kSourceZeros);

  ASSERT_EQ(image->files().size(), 3U);
  EXPECT_EQ(image->path(image->files()[0]), "/usr/bin/program");
  EXPECT_EQ(image->path(image->files()[2]), "/etc/ld.so.preload");
  EXPECT_EQ(image->header().mapped_files, 1U);
  ASSERT_EQ(image->patches().size(), 3U);
  EXPECT_EQ(image->patches()[0].role, PatchRole::canary);
  ASSERT_EQ(image->slides().size(), 3U);
  EXPECT_EQ(word_at(bytes, image->slides()[1].offset), kTestArena + 0x1234);
  EXPECT_EQ(word_at(bytes, image->slides()[2].offset), kTestArena + 0x4567);
}

TEST_F(Writer, RegionsAreFoundByAddress) {
  const auto bytes = written(memory.parts());
  const auto image = Image::open(bytes);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->find(0), nullptr);
  EXPECT_EQ(image->find(0x400'000), image->regions().data());
  EXPECT_EQ(image->find(0x401'000), nullptr);
  EXPECT_EQ(image->find(kTestArena + 0xfff), &image->regions()[1]);
  EXPECT_EQ(image->find(kTestArena + 0x1000), &image->regions()[2]);
  EXPECT_EQ(image->find(kTestArena + 0x50000), nullptr);
  EXPECT_EQ(image->find(~0ULL), nullptr);
}

TEST_F(Writer, TheImageIsSealed) {
  const auto fd = write_image(memory.parts());
  ASSERT_TRUE(fd) << fd.error().message();
  EXPECT_TRUE(is_sealed(*fd));
  EXPECT_LT(::pwrite(fd->get(), "x", 1, 0), 0);
  EXPECT_LT(::ftruncate(fd->get(), 0), 0);
}

// Its pages have to be executable all the same.
TEST_F(Writer, TextCanBeExecutedFromIt) {
  memory.text[0] = 0xc3;  // ret
  const auto fd = write_image(memory.parts());
  ASSERT_TRUE(fd) << fd.error().message();
  const auto mapping = Mapping::of(*fd);
  const auto image = Image::open(mapping->bytes());
  void* text = ::mmap(nullptr, kPageSize, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd->get(),
                      static_cast<off_t>(image->regions()[1].offset));
  ASSERT_NE(text, MAP_FAILED);
  reinterpret_cast<void (*)()>(text)();
  ::munmap(text, kPageSize);
}

TEST_F(Writer, LongRowsOfZerosAreLeftOut) {
  constexpr std::uint64_t kPages = 300;
  std::vector<std::uint8_t> bytes(kPages * kPageSize);
  bytes[100 * kPageSize + 5] = 1;
  bytes[110 * kPageSize] = 1;  // the zeros between are too few
  bytes[200 * kPageSize] = 1;
  auto parts = memory.parts();
  const std::uint64_t at = kTestArena + 0x20'0000;
  parts.regions.push_back({at, bytes.size(), PROT_READ, kRegionPopulate, {}, 0, bytes});
  const auto written_bytes = written(std::move(parts));
  const auto image = Image::open(written_bytes);
  ASSERT_TRUE(image);
  std::vector<std::pair<std::uint64_t, bool>> rows;  // pages, and whether they are zeros
  for (const ImageRegion& region : image->regions()) {
    if (region.address < at) continue;
    EXPECT_EQ(region.protection, static_cast<std::uint32_t>(PROT_READ));
    EXPECT_EQ(region.flags, kRegionPopulate);
    rows.emplace_back(region.size / kPageSize, region.source == kSourceZeros);
  }
  const std::vector<std::pair<std::uint64_t, bool>> expected = {
      {100, true}, {11, false}, {89, true}, {1, false}, {99, true}};
  EXPECT_EQ(rows, expected);
}

// The last bytes of an address are zeros: they stay with the others.
TEST_F(Writer, AddressesAreNotDivided) {
  std::vector<std::uint8_t> bytes(100 * kPageSize);
  const std::uint64_t word = kTestArena + 0x10;
  std::memcpy(bytes.data() + kPageSize - 6, &word, sizeof word);
  auto parts = memory.parts();
  const std::uint64_t at = kTestArena + 0x20'0000;
  parts.regions.push_back({at, bytes.size(), PROT_READ, 0, {}, 0, bytes});
  parts.slides.push_back(at + kPageSize - 6);
  const auto written_bytes = written(std::move(parts));
  const auto image = Image::open(written_bytes);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->find(at)->size, 2 * kPageSize);
  EXPECT_EQ(image->find(at + 2 * kPageSize)->source, kSourceZeros);
}

// Writable only while the program starts, and only where something is to be changed.
TEST_F(Writer, RegionsWithPatchesAreKnown) {
  std::vector<std::uint8_t> bytes(100 * kPageSize);
  bytes[1] = bytes[99 * kPageSize] = 1;
  auto parts = memory.parts();
  const std::uint64_t at = kTestArena + 0x20'0000;
  parts.regions.push_back({at, bytes.size(), PROT_READ, kRegionPatched, {}, 0, bytes});
  parts.patches.push_back({at + 8, PatchRole::auxv, 0});
  const auto written_bytes = written(std::move(parts));
  const auto image = Image::open(written_bytes);
  ASSERT_TRUE(image);
  std::vector<std::uint32_t> flags;
  for (const ImageRegion& region : image->regions()) flags.push_back(region.flags);
  EXPECT_EQ(flags, (std::vector<std::uint32_t>{0, 0, 0, 0, kRegionPatched, 0, 0}));
}

TEST_F(Writer, EqualRegionsShareTheirContents) {
  auto parts = memory.parts();
  const std::uint64_t before = written(memory.parts()).size();
  const std::uint64_t at = kTestArena + 0x20'0000;
  parts.regions.push_back({at, kPageSize, PROT_READ, 0, {}, 0, memory.text});
  // Equal bytes, but with no addresses in them: they must not move along.
  parts.regions.push_back({at + 0x1'0000, 2 * kPageSize, PROT_READ, 0, {}, 0, memory.data});
  parts.regions.push_back({at + 0x2'0000, 2 * kPageSize, PROT_READ, 0, {}, 0, memory.data});
  const auto bytes = written(std::move(parts));
  EXPECT_EQ(bytes.size(), before + 2 * kPageSize);
  const auto image = Image::open(bytes);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->find(at)->offset, image->find(kTestArena)->offset);
  EXPECT_NE(image->find(at + 0x1'0000)->offset, image->find(kTestArena + 0x1000)->offset);
  EXPECT_EQ(image->find(at + 0x1'0000)->offset, image->find(at + 0x2'0000)->offset);
}

TEST_F(Writer, SlidesThatNobodyCouldCarryOutAreRefused) {
  auto parts = memory.parts();
  parts.slides.push_back(kTestArena + 0x70'0000);
  EXPECT_EQ(refused(parts), "write the image: a slide is in no region");
  parts = memory.parts();
  parts.slides.push_back(0x400'000);
  EXPECT_EQ(refused(parts), "write the image: a slide in a file's pages");
  parts = memory.parts();
  parts.slides.push_back(kTestArena + 0x1000 + memory.data.size() - 4);
  EXPECT_EQ(refused(parts), "write the image: a slide isn't within a region's bytes");
  parts = memory.parts();
  parts.slides.push_back(kTestArena + 0x1000 + 0x800);
  EXPECT_EQ(refused(parts), "check the image: a slide isn't an address in the arena");
}

TEST_F(Writer, RegionsThatCannotBeAreRefused) {
  auto parts = memory.parts();
  parts.regions[1].size -= 1;
  EXPECT_EQ(refused(parts), "write the image: a region isn't whole pages");
  parts = memory.parts();
  parts.regions[0].size = kPageSize;
  parts.slides.clear();
  EXPECT_EQ(refused(parts), "write the image: a region has more bytes than room");
  parts = memory.parts();
  parts.regions[2].size = ~0ULL << 12;
  EXPECT_EQ(refused(parts), "write the image: a region is outside of memory");
  parts = memory.parts();
  parts.regions[1].protection |= PROT_WRITE;
  EXPECT_EQ(refused(parts), "check the image: a region's protection");
}

}  // namespace
}  // namespace prewarm::image
