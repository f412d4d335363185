// SPDX-License-Identifier: MIT
#include "image/pack_place.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "image/place_field.h"

namespace prewarm::image {
namespace {

constexpr std::uint64_t kPage = 4096;

// A library as GNU ld lays it out by default; sizes in bytes.
PlaceItem library(std::uint64_t header, std::uint64_t text, std::uint64_t constants,
                  std::uint64_t data, std::uint64_t page = kPage) {
  const auto round = [&](std::uint64_t size) { return (size + page - 1) / page * page; };
  const auto text_at = round(header);
  const auto constants_at = text_at + round(text);
  const auto data_at = constants_at + round(constants) + page - std::min(data, page / 2);
  return {16,
          {{0, header, Use::code},
           {text_at, text_at + text, Use::code},
           {constants_at, constants_at + constants, Use::code},
           {data_at, data_at + data, Use::data}}};
}

// What each placement must be: bases aligned, no byte taken twice, no page of two uses, all bytes
// in a run of their use.
void check(const std::vector<PlaceItem>& items, const Placement& placement) {
  ASSERT_EQ(placement.bases.size(), items.size());
  struct Taken {
    std::uint64_t begin, end;
    Use use;
  };
  std::vector<Taken> taken;
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(placement.bases[i] % items[i].alignment, 0U);
    for (const auto& part : items[i].parts) {
      taken.push_back({placement.bases[i] + part.begin, placement.bases[i] + part.end, part.use});
    }
  }
  std::ranges::sort(taken, {}, &Taken::begin);
  for (std::size_t i = 1; i < taken.size(); ++i) {
    ASSERT_LE(taken[i - 1].end, taken[i].begin);
    if (taken[i - 1].use != taken[i].use) {
      ASSERT_LT((taken[i - 1].end - 1) / kPage, taken[i].begin / kPage);
    }
  }
  std::uint64_t end = 0;
  for (const auto& run : placement.runs) {
    EXPECT_EQ(run.begin % kPage, 0U);
    EXPECT_EQ(run.end % kPage, 0U);
    EXPECT_LT(run.begin, run.end);
    EXPECT_LE(end, run.begin);
    end = run.end;
  }
  EXPECT_LE(end, placement.size);
  for (const auto& one : taken) {
    const auto run = std::ranges::find_if(
        placement.runs, [&](const auto& r) { return r.begin <= one.begin && one.end <= r.end; });
    ASSERT_NE(run, placement.runs.end());
    ASSERT_EQ(run->use, one.use);
  }
}

TEST(PackPlace, NothingNeedsNoPages) {
  const auto placement = place({});
  EXPECT_EQ(placement.size, 0U);
  EXPECT_TRUE(placement.runs.empty());
}

TEST(PackPlace, OneLibraryKeepsItsShape) {
  const std::vector<PlaceItem> items = {library(0x260, 0x189, 0x114, 0x298)};
  const auto placement = place(items);
  check(items, placement);
  EXPECT_EQ(placement.groups, 1U);
}

TEST(PackPlace, SmallLibrariesOfOneShapeSharePages) {
  // What 10,000 libraries of five functions need: 3,000 mappings at most, of code and data.
  const std::vector<PlaceItem> items(10'000, PlaceItem{16,
                                                       {{0, 0x25c, Use::code},
                                                        {0x1000, 0x1189, Use::code},
                                                        {0x2000, 0x2114, Use::code},
                                                        {0x3d90, 0x4028, Use::data}}});
  const auto placement = place(items);
  check(items, placement);
  EXPECT_LE(placement.runs.size(), 2'900U);
}

TEST(PackPlace, LibrariesWithLargePagesAreInFewMappings) {
  const std::vector<PlaceItem> items(10'000, library(0x25c, 0x189, 0x114, 0x298, 0x20'0000));
  const auto placement = place(items);
  check(items, placement);
  EXPECT_LT(placement.runs.size(), 100U);
}

TEST(PackPlace, TheSameItemsGiveTheSamePlacement) {
  const std::vector<PlaceItem> items(100, library(0x260, 0x300, 0x200, 0x180));
  EXPECT_EQ(place(items).bases, place(items).bases);
}

TEST(PackPlace, LargeOnesHavePagesOfTheirOwn) {
  auto large = library(0x260, 0x20'000, 0x10'000, 0x3000);
  large.alignment = kPage;
  std::vector<PlaceItem> items(5, library(0x260, 0x189, 0x114, 0x298));
  items.insert(items.begin() + 2, large);
  const auto placement = place(items);
  check(items, placement);
  for (const auto& part : large.parts) {
    const auto first = (placement.bases[2] + part.begin) / kPage;
    const auto last = (placement.bases[2] + part.end - 1) / kPage;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i == 2) continue;
      for (const auto& other : items[i].parts) {
        EXPECT_TRUE((placement.bases[i] + other.end - 1) / kPage < first ||
                    (placement.bases[i] + other.begin) / kPage > last);
      }
    }
  }
}

TEST(PackPlace, AnyMixtureKeepsTheRules) {
  std::mt19937 dice(7);
  const auto below = [&](unsigned bound) { return std::uniform_int_distribution(1U, bound)(dice); };
  for (int round = 0; round < 40; ++round) {
    std::vector<PlaceItem> items;
    const auto kinds = below(20);
    for (unsigned kind = 0; kind < kinds; ++kind) {
      auto item = library(below(0x900), below(0x3000), below(0x2000), below(0x2800),
                          below(4) == 1 ? 0x1'0000 : kPage);
      item.alignment = 16ULL << (below(4) - 1);
      if (below(3) == 1) item.parts.erase(item.parts.begin() + 2);
      if (below(3) == 1) item.parts.push_back({0x40'000, 0x40'000 + below(0x1000), Use::read});
      const auto count = below(60);
      for (unsigned i = 0; i < count; ++i) items.push_back(item);
    }
    std::ranges::shuffle(items, dice);
    check(items, place(items));
    if (HasFatalFailure()) return;
  }
}

TEST(PlaceField, KnowsWhatIsInTheWay) {
  PlaceField field;
  const PlaceItem code{16, {{0, 0x100, Use::code}}};
  const PlaceItem data{16, {{0, 0x100, Use::data}}};
  field.put(code, 0x1010);
  EXPECT_EQ(field.obstacle(code, 0x1000), 0x1100U);
  EXPECT_EQ(field.obstacle(code, 0x1100), 0x1110U);
  EXPECT_EQ(field.obstacle(code, 0x1110), std::nullopt);
  EXPECT_EQ(field.obstacle(data, 0x1800), 0x2000U);
  EXPECT_EQ(field.obstacle(data, 0x2000), std::nullopt);
  field.take_away(code, 0x1010);
  EXPECT_EQ(field.obstacle(data, 0x1010), std::nullopt);
}

TEST(PlaceField, PartsOfOneItemAreInEachOthersWayToo) {
  const PlaceItem item{16, {{0, 0xff0, Use::code}, {0x1000, 0x1100, Use::data}}};
  EXPECT_EQ(PlaceField().obstacle(item, 0), std::nullopt);
  EXPECT_EQ(PlaceField().obstacle(item, 0x20), 0x1000U);
}

}  // namespace
}  // namespace prewarm::image
