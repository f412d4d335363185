// SPDX-License-Identifier: MIT
#include "image/join.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>
#include <string>
#include <vector>

#include "image/format.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

constexpr std::uint64_t kAt = 0x2000'0000'0000;
constexpr int kConstants = PROT_READ;
constexpr int kCode = PROT_READ | PROT_EXEC;
constexpr int kVariables = PROT_READ | PROT_WRITE;

class Join : public testing::Test {
 protected:
  // A file of eight pages, each of which has its number in all of its bytes.
  void SetUp() override {
    std::ofstream out(file_, std::ios::binary);
    for (char page = 0; page < 8; ++page) out << std::string(kPageSize, page);
  }

  CapturedRegion of_file(std::uint64_t page, int protection, std::uint64_t pages = 1) const {
    CapturedRegion region;
    region.address = kAt + page * kPageSize;
    region.size = pages * kPageSize;
    region.protection = protection;
    region.file = file_;
    region.file_offset = page * kPageSize;
    return region;
  }
  static CapturedRegion of_image(std::uint64_t page, int protection, std::uint8_t byte) {
    CapturedRegion region;
    region.address = kAt + page * kPageSize;
    region.size = kPageSize;
    region.protection = protection;
    region.bytes.assign(kPageSize, byte);
    return region;
  }
  static std::vector<CapturedRegion> joined(std::vector<CapturedRegion> regions) {
    EXPECT_TRUE(join_regions(regions).has_value());
    return regions;
  }

  const os::TempDirectory temp_;
  const std::string file_ = temp_ / "library";
};

TEST_F(Join, HeadersAreMappedWithTheCodeBehindThem) {
  const auto regions = joined({of_file(0, kConstants, 2), of_file(2, kCode, 3)});
  ASSERT_EQ(regions.size(), 1U);
  EXPECT_EQ(regions[0].address, kAt);
  EXPECT_EQ(regions[0].size, 5 * kPageSize);
  EXPECT_EQ(regions[0].protection, kCode);
  EXPECT_EQ(regions[0].file, file_);
  EXPECT_EQ(regions[0].file_offset, 0U);
  EXPECT_TRUE(regions[0].bytes.empty());
}

TEST_F(Join, ConstantsBehindCodeStayConstants) {
  const auto regions = joined({of_file(0, kCode), of_file(1, kConstants)});
  ASSERT_EQ(regions.size(), 2U);
  EXPECT_EQ(regions[0].protection, kCode);
  EXPECT_EQ(regions[1].protection, kConstants);
}

TEST_F(Join, HeadersThatDontLieRightBeforeTheCodeStay) {
  auto elsewhere_in_file = of_file(1, kCode);
  elsewhere_in_file.file_offset += kPageSize;
  EXPECT_EQ(joined({of_file(0, kConstants), elsewhere_in_file}).size(), 2U);
  auto elsewhere_in_memory = of_file(1, kCode);
  elsewhere_in_memory.address += kPageSize;
  EXPECT_EQ(joined({of_file(0, kConstants), elsewhere_in_memory}).size(), 2U);
  auto of_another = of_file(1, kCode);
  of_another.file += ".1";
  EXPECT_EQ(joined({of_file(0, kConstants), of_another}).size(), 2U);
}

TEST_F(Join, WhatCanBeWrittenIsNeverCode) {
  EXPECT_EQ(joined({of_file(0, kVariables), of_file(1, kCode)}).size(), 2U);
  EXPECT_EQ(joined({of_image(0, kCode, 1), of_image(1, kCode, 2)}).size(), 2U);
}

TEST_F(Join, ConstantsAndVariablesKeepApart) {
  EXPECT_EQ(joined({of_image(0, kConstants, 1), of_image(1, kVariables, 2)}).size(), 2U);
}

TEST_F(Join, ShortConstantsComeIntoTheImageWithWhatLiesBehindThem) {
  const auto regions = joined({of_file(2, kConstants), of_image(3, kConstants, 0xee)});
  ASSERT_EQ(regions.size(), 1U);
  EXPECT_TRUE(regions[0].file.empty());
  std::vector<std::uint8_t> wanted(kPageSize, 2);
  wanted.resize(2 * kPageSize, 0xee);
  EXPECT_EQ(regions[0].bytes, wanted);
}

TEST_F(Join, LongConstantsStayInTheirFile) {
  const std::uint64_t pages = (512 << 10) / kPageSize;
  EXPECT_EQ(joined({of_file(0, kConstants, pages), of_image(pages, kConstants, 1)}).size(), 1U);
  const auto regions =
      joined({of_file(0, kConstants, pages + 1), of_image(pages + 1, kConstants, 1)});
  ASSERT_EQ(regions.size(), 2U);
  EXPECT_EQ(regions[0].file, file_);
}

TEST_F(Join, MemoryWithoutContentsJoinsWhatIsBeforeIt) {
  auto zeros = of_image(1, kVariables, 0);
  zeros.bytes.clear();
  const auto regions = joined({of_image(0, kVariables, 7), zeros});
  ASSERT_EQ(regions.size(), 1U);
  std::vector<std::uint8_t> wanted(kPageSize, 7);
  wanted.resize(2 * kPageSize, 0);
  EXPECT_EQ(regions[0].bytes, wanted);
}

TEST_F(Join, AFileThatIsGoneIsAnError) {
  std::vector<CapturedRegion> regions = {of_file(2, kConstants), of_image(3, kConstants, 1)};
  regions[0].file += ".gone";
  const auto done = join_regions(regions);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, ENOENT);
}

}  // namespace
}  // namespace prewarm::image
