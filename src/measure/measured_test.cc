// SPDX-License-Identifier: MIT
#include "measure/measured.h"

#include <gtest/gtest.h>

namespace prewarm::measure {
namespace {

Measured two_variants(std::vector<double> bash, std::vector<double> prewarm) {
  Measured measured;
  measured.metrics = {"time"};
  measured.series = {{"bash", {std::move(bash)}}, {"prewarm", {std::move(prewarm)}}};
  return measured;
}

TEST(Judge, FasterComparesMedians) {
  const Measured m = two_variants({100, 100, 90}, {20, 25, 20});
  const auto v = judge(m, {DemandKind::faster_at_least, "prewarm", "bash", 5});
  ASSERT_TRUE(v.has_value());
  EXPECT_DOUBLE_EQ(v->measured, 5);
  EXPECT_TRUE(v->met);
  EXPECT_FALSE(v->clear);  // the middle half of 5, 4, 4.5 does not reach 5
  EXPECT_DOUBLE_EQ(v->rounds.median, 4.5);
}

TEST(Judge, TimeAtMostIsTheOtherWayRound) {
  const Measured m = two_variants({100, 100}, {106, 106});
  const auto v = judge(m, {DemandKind::time_at_most, "prewarm", "bash", 1.05});
  ASSERT_TRUE(v.has_value());
  EXPECT_DOUBLE_EQ(v->measured, 1.06);
  EXPECT_FALSE(v->met);
  EXPECT_TRUE(v->clear);
}

TEST(Judge, WithinLooksBothWays) {
  for (const double time : {80.0, 120.0}) {
    const Measured m = two_variants({100}, {time});
    EXPECT_FALSE(judge(m, {DemandKind::time_within, "prewarm", "bash", 0.15})->met) << time;
  }
  const Measured m = two_variants({100}, {90});
  EXPECT_TRUE(judge(m, {DemandKind::time_within, "prewarm", "bash", 0.15})->met);
}

TEST(Judge, ExcessIsInMilliseconds) {
  const Measured m = two_variants({1500}, {3000});
  const auto v = judge(m, {DemandKind::excess_ms_at_most, "prewarm", "bash", 2});
  ASSERT_TRUE(v.has_value());
  EXPECT_DOUBLE_EQ(v->measured, 1.5);
  EXPECT_TRUE(v->met);
}

TEST(Judge, NothingWithoutBoth) {
  const Measured m = two_variants({1}, {1});
  EXPECT_FALSE(judge(m, {DemandKind::faster_at_least, "prewarm", "cpp", 2}).has_value());
}

}  // namespace
}  // namespace prewarm::measure
