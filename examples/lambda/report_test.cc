// SPDX-License-Identifier: MIT

#include "report.h"

#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

namespace lambda {
namespace {

std::vector<Invocation> invocations_of_us(int first, int last) {
  std::vector<Invocation> result;
  for (int us = first; us <= last; ++us) {
    result.push_back({std::chrono::microseconds(us), std::chrono::microseconds(2 * us), true});
  }
  return result;
}

TEST(Summary, OfAnOddNumber) {
  const Summary s = summarize(invocations_of_us(1, 5));
  EXPECT_DOUBLE_EQ(s.median_us, 3);
  EXPECT_DOUBLE_EQ(s.min_us, 1);
  EXPECT_DOUBLE_EQ(s.p95_us, 5);
  EXPECT_DOUBLE_EQ(s.loop_median_us, 6);
  EXPECT_EQ(s.right, 5u);
}

TEST(Summary, OfAnEvenNumber) {
  const Summary s = summarize(invocations_of_us(1, 100));
  EXPECT_DOUBLE_EQ(s.median_us, 50.5);
  EXPECT_DOUBLE_EQ(s.p95_us, 95);
}

TEST(Json, HasRatiosOfMedians) {
  const auto report = nlohmann::json::parse(
      to_json({{"bash", invocations_of_us(100, 100)}, {"cpp", invocations_of_us(10, 10)}}, {}, 3));
  EXPECT_DOUBLE_EQ(report["runtimes"]["cpp"]["faster_than_bash"], 10);
  EXPECT_DOUBLE_EQ(report["runtimes"]["bash"]["time_over_cpp"], 10);
}

TEST(Json, HasNoRatioToWhatDidNotTakePart) {
  const auto report =
      nlohmann::json::parse(to_json({{"prewarm", invocations_of_us(1, 1)}}, {"bad \xff byte"}, 0));
  EXPECT_TRUE(report["runtimes"]["prewarm"]["faster_than_bash"].is_null());
  EXPECT_EQ(report["problems"].size(), 1u);
}

TEST(Table, ShowsEachRuntimeInOrder) {
  const std::string table =
      to_table({{"cpp", invocations_of_us(10, 10)}, {"bash", invocations_of_us(100, 100)}});
  EXPECT_LT(table.find("\ncpp "), table.find("\nbash "));
  EXPECT_NE(table.find("10.00x"), std::string::npos);
}

}  // namespace
}  // namespace lambda
