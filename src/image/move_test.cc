// SPDX-License-Identifier: MIT
#include "image/move.h"

#include <errno.h>

#include <algorithm>
#include <random>

#include "image/testing.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

class Move : public os::LeavesNothing {
 protected:
  TestMemory memory;
  std::vector<std::uint8_t> bytes = written(memory.parts());
};

std::uint64_t word_at(const std::vector<std::uint8_t>& bytes, std::uint64_t offset) {
  std::uint64_t word;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

TEST_F(Move, EverythingInTheArenaMoves) {
  constexpr std::uint64_t kArena = 0x3456'789a'b000, kDistance = kArena - kTestArena;
  const auto before = bytes;
  ASSERT_TRUE(move_image(bytes, kArena));
  const auto was = Image::open(before), is = Image::open(bytes);
  ASSERT_TRUE(is) << is.error().message();
  const ImageHeader &a = was->header(), &b = is->header();
  EXPECT_EQ(b.arena_begin, kArena);
  EXPECT_EQ(b.arena_end - b.arena_begin, a.arena_end - a.arena_begin);
  for (const auto field :
       {&ImageHeader::start, &ImageHeader::loader_base, &ImageHeader::unmap_gadget}) {
    EXPECT_EQ(b.*field, a.*field + kDistance);
  }
  EXPECT_EQ(b.thread.thread_pointer, a.thread.thread_pointer + kDistance);
  EXPECT_EQ(b.thread.tid_address, a.thread.tid_address + kDistance);
  EXPECT_EQ(b.thread.robust_list, a.thread.robust_list + kDistance);
  EXPECT_EQ(b.thread.rseq_area, 0U) << "there is none";
  EXPECT_EQ(b.vdso.address, a.vdso.address + kDistance);
  EXPECT_EQ(b.vdso.code, a.vdso.code + kDistance);
  for (std::size_t i = 1; i < is->regions().size(); ++i) {
    EXPECT_EQ(is->regions()[i].address, was->regions()[i].address + kDistance);
  }
  for (std::size_t i = 0; i < is->patches().size(); ++i) {
    EXPECT_EQ(is->patches()[i].address, was->patches()[i].address + kDistance);
  }
  for (const ImageSlide& slide : is->slides()) {
    EXPECT_EQ(word_at(bytes, slide.offset), word_at(before, slide.offset) + kDistance);
  }
}

TEST_F(Move, WhatHasItsOwnAddressesStays) {
  ASSERT_TRUE(move_image(bytes, kTestArena + 0x5000));
  const auto image = Image::open(bytes);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->regions()[0].address, 0x400'000U);
  EXPECT_EQ(image->header().entry, 0x400'010U);
  EXPECT_EQ(image->header().program_headers, 0x400'000U);
}

// Nothing but the addresses changes.
TEST_F(Move, NumbersStay) {
  const auto before = bytes;
  ASSERT_TRUE(move_image(bytes, kTestArena + 0x5000));
  const auto image = Image::open(bytes);
  std::vector<bool> moves(bytes.size());
  for (const ImageSlide& slide : image->slides()) {
    std::fill_n(moves.begin() + static_cast<std::ptrdiff_t>(slide.offset), 8, true);
  }
  for (std::size_t at = image->contents_offset(); at < bytes.size(); ++at) {
    ASSERT_TRUE(moves[at] || bytes[at] == before[at]) << at;
  }
}

TEST_F(Move, ThereAndBackIsTheSame) {
  const auto before = bytes;
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t arena = arena_near(header_of(bytes), random() % (kArenaHighest * 2));
    const std::uint64_t was = header_of(bytes).arena_begin;
    const auto here = bytes;
    ASSERT_TRUE(move_image(bytes, arena)) << arena;
    ASSERT_TRUE(Image::open(bytes)) << arena;
    auto back = bytes;
    ASSERT_TRUE(move_image(back, was));
    ASSERT_EQ(back, here) << arena;
  }
  ASSERT_TRUE(move_image(bytes, kTestArena));
  EXPECT_EQ(bytes, before);
}

TEST_F(Move, AlignmentIsKept) {
  auto parts = memory.parts();
  parts.header.alignment = 0x20'0000;
  parts.header.arena_begin -= 0x3000;
  bytes = written(std::move(parts));
  const ImageHeader& header = header_of(bytes);
  for (const std::uint64_t wanted : {0ULL, 0x3333'1234'5678ULL, ~0ULL}) {
    const std::uint64_t arena = arena_near(header, wanted);
    EXPECT_EQ(arena % 0x20'0000, 0x20'0000U - 0x3000);
    EXPECT_GE(arena, kArenaLowest);
    EXPECT_LE(arena + (header.arena_end - header.arena_begin), kArenaHighest);
    auto moved = bytes;
    EXPECT_TRUE(move_image(moved, arena));
  }
  const auto before = bytes;
  EXPECT_FALSE(move_image(bytes, header.arena_begin + kPageSize));
  EXPECT_EQ(bytes, before);
}

TEST_F(Move, TheLastPlaceHasRoomForAll) {
  const ImageHeader& header = header_of(bytes);
  const std::uint64_t size = header.arena_end - header.arena_begin;
  EXPECT_EQ(arena_near(header, 0), kArenaLowest);
  EXPECT_EQ(arena_near(header, ~0ULL), kArenaHighest - size);
  EXPECT_FALSE(move_image(bytes, kArenaHighest - size + kPageSize));
  EXPECT_FALSE(move_image(bytes, kArenaLowest - kPageSize));
  EXPECT_FALSE(move_image(bytes, kTestArena + 8));
  EXPECT_TRUE(move_image(bytes, kArenaHighest - size));
}

TEST_F(Move, DamagedImagesAreLeftAlone) {
  bytes[bytes.size() - 1] ^= 1;
  const auto before = bytes;
  EXPECT_FALSE(move_image(bytes, kTestArena + kPageSize));
  EXPECT_EQ(bytes, before);
}

TEST_F(Move, TheBootIsNoted) {
  const auto boot = this_boot();
  ASSERT_TRUE(boot) << boot.error().message();
  EXPECT_NE(*boot, BootId{});
  EXPECT_EQ(*boot, *this_boot());
  ASSERT_TRUE(move_image(bytes, kTestArena, *boot));
  ASSERT_TRUE(Image::open(bytes));
  EXPECT_TRUE(std::ranges::equal(header_of(bytes).boot, *boot));
}

}  // namespace
}  // namespace prewarm::image
