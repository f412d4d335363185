// SPDX-License-Identifier: MIT
#include "measure/stats.h"

#include <gtest/gtest.h>

namespace prewarm::measure {
namespace {

TEST(Stats, QuantilesAreInterpolated) {
  const std::vector<double> samples = {4, 1, 3, 2};
  const Summary s = summarize(samples);
  EXPECT_EQ(s.count, 4U);
  EXPECT_DOUBLE_EQ(s.minimum, 1);
  EXPECT_DOUBLE_EQ(s.first_quartile, 1.75);
  EXPECT_DOUBLE_EQ(s.median, 2.5);
  EXPECT_DOUBLE_EQ(s.third_quartile, 3.25);
  EXPECT_DOUBLE_EQ(s.p90, 3.7);
  EXPECT_DOUBLE_EQ(s.spread(), 0.6);
}

TEST(Stats, OneSampleIsAllQuantiles) {
  const std::vector<double> samples = {7};
  const Summary s = summarize(samples);
  EXPECT_DOUBLE_EQ(s.minimum, 7);
  EXPECT_DOUBLE_EQ(s.median, 7);
  EXPECT_DOUBLE_EQ(s.p90, 7);
  EXPECT_DOUBLE_EQ(s.spread(), 0);
}

TEST(Stats, PairsGoAsFarAsBothDo) {
  const std::vector<double> a = {10, 9, 8};
  const std::vector<double> b = {5, 3};
  EXPECT_EQ(ratios(a, b), (std::vector<double>{2, 3}));
  EXPECT_EQ(differences(a, b), (std::vector<double>{5, 6}));
}

}  // namespace
}  // namespace prewarm::measure
