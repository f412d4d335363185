// SPDX-License-Identifier: MIT
#include "image/patches.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace prewarm::image {
namespace {

constexpr std::uint64_t kFirstArena = 0x2000'0000'0000;
constexpr std::uint64_t kSecondArena = 0x3000'0000'0000;

// One page of variables in an arena, in a process whose stack, random bytes and id differ by
// `seed`.
Capture capture_at(std::uint64_t arena, std::uint64_t seed) {
  Capture capture;
  capture.arena_begin = arena;
  capture.arena_end = arena + 0x10000;
  capture.loader_base = arena + 0x8000;
  CapturedRegion region;
  region.address = arena + 0x1000;
  region.size = kPageSize;
  region.protection = PROT_READ | PROT_WRITE;
  region.bytes.resize(kPageSize);
  capture.regions.push_back(std::move(region));
  CapturedObject object;
  object.path = "/lib/libone.so";
  object.base = arena + 0x1000;
  capture.objects.push_back(object);
  capture.thread.thread_pointer = arena + 0x9000;
  auto& anchors = capture.anchors;
  anchors.stack_begin = 0x7f00'0000'0000 + seed * 0x100'0000;
  anchors.stack_end = anchors.stack_begin + 0x2'0000;
  anchors.stack_start = anchors.stack_begin + 0x1'0000;
  anchors.argv = anchors.stack_start + 8;
  anchors.random_words = {0x1234'5678'9abc'de00 + seed * 0x100, 0xfedc'ba98'0000'0001 * seed};
  anchors.argc = seed;
  anchors.thread_id = 4'000 + seed;
  anchors.clock_begin = 1'000'000;
  anchors.clock_end = 2'000'000;
  return capture;
}

void set(Capture& capture, std::size_t offset, std::uint64_t value) {
  std::memcpy(capture.regions[0].bytes.data() + offset, &value, sizeof value);
}

class Patches : public testing::Test {
 protected:
  Capture first_ = capture_at(kFirstArena, 1);
  Capture second_ = capture_at(kSecondArena, 3);
  const std::uint64_t at_ = kFirstArena + 0x1000;
};

TEST_F(Patches, WordsThatBelongToOneProcessAreFoundByWhatTheyAre) {
  set(first_, 0, first_.anchors.random_words[0] & ~0xffULL);
  set(second_, 0, second_.anchors.random_words[0] & ~0xffULL);
  set(first_, 8, first_.anchors.argv);
  set(second_, 8, second_.anchors.argv);
  set(first_, 16, first_.anchors.thread_id | 7ULL << 32);
  set(second_, 16, second_.anchors.thread_id | 7ULL << 32);
  set(first_, 24, first_.anchors.argc << 32);
  set(second_, 24, second_.anchors.argc << 32);
  const auto found = compare_captures(first_, second_);
  ASSERT_TRUE(found.has_value()) << found.error().message();
  ASSERT_EQ(found->patches.size(), 4U);
  EXPECT_EQ(found->patches[0].role, PatchRole::canary);
  EXPECT_EQ(found->patches[1].role, PatchRole::argv);
  EXPECT_EQ(found->patches[1].address, at_ + 8);
  EXPECT_EQ(found->patches[2].role, PatchRole::thread_id);
  EXPECT_EQ(found->patches[2].address, at_ + 16);
  EXPECT_EQ(found->patches[3].role, PatchRole::argc);
  EXPECT_EQ(found->patches[3].address, at_ + 28) << "the upper half";
  EXPECT_TRUE(found->slides.empty());
}

TEST_F(Patches, AddressesMoveWithTheArenaAndNumbersThatLookLikeOnesDoNot) {
  set(first_, 0, kFirstArena + 0x1234);
  set(second_, 0, kSecondArena + 0x1234);
  set(first_, 8, kFirstArena + 0x5678);
  set(second_, 8, kFirstArena + 0x5678);
  const auto found = compare_captures(first_, second_);
  ASSERT_TRUE(found.has_value()) << found.error().message();
  ASSERT_EQ(found->slides.size(), 1U);
  EXPECT_EQ(found->slides[0], at_);
  EXPECT_TRUE(found->patches.empty());
  EXPECT_EQ(find_slides(first_).size(), 2U) << "by one capture alone it can't be told";
}

TEST_F(Patches, WhatIsNotUnderstoodIsRefused) {
  set(first_, 0, 0x1111);
  set(second_, 0, 0x2222);
  EXPECT_FALSE(compare_captures(first_, second_).has_value());
}

TEST_F(Patches, TheStopWatchIsLdSosAlone) {
  // A time is one only in ld.so's own data.
  set(first_, 0, 1'500'000);
  set(second_, 0, 1'600'000);
  EXPECT_FALSE(compare_captures(first_, second_).has_value());
  first_.loader_base = kFirstArena + 0x1000;
  EXPECT_TRUE(compare_captures(first_, second_).has_value());
}

TEST_F(Patches, OtherMappingsAreRefused) {
  second_.regions[0].address += kPageSize;
  EXPECT_FALSE(compare_captures(first_, second_).has_value());
  second_.regions.clear();
  EXPECT_FALSE(compare_captures(first_, second_).has_value());
}

TEST_F(Patches, AreTransferredByObject) {
  set(first_, 64, first_.anchors.argv);
  set(second_, 64, second_.anchors.argv);
  const auto found = compare_captures(first_, second_);
  ASSERT_TRUE(found.has_value());
  Capture other = capture_at(kSecondArena, 5);
  other.objects[0].base += 0x40;
  set(other, 64 + 0x40, other.anchors.argv);
  const auto transferred = transfer_patches(first_, found->patches, other);
  ASSERT_TRUE(transferred.has_value()) << transferred.error().message();
  ASSERT_EQ(transferred->size(), 1U);
  EXPECT_EQ((*transferred)[0].address, kSecondArena + 0x1000 + 64 + 0x40);
}

TEST_F(Patches, CopiesOfSuchWordsArePatchedAndOtherPlacesOnTheStackRefused) {
  Capture other = capture_at(kSecondArena, 5);
  EXPECT_TRUE(transfer_patches(first_, {}, other).has_value());
  set(other, 128, other.anchors.random_words[1]);
  const auto copied = transfer_patches(first_, {}, other);
  ASSERT_TRUE(copied.has_value());
  ASSERT_EQ(copied->size(), 1U);
  EXPECT_EQ((*copied)[0].role, PatchRole::pointer_guard);
  EXPECT_EQ((*copied)[0].address, kSecondArena + 0x1000 + 128);
  set(other, 256, other.anchors.stack_begin + 8);
  EXPECT_FALSE(transfer_patches(first_, {}, other).has_value());
}

}  // namespace
}  // namespace prewarm::image
