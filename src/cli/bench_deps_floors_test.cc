// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include "cli/bench_deps_report.h"

namespace prewarm::cli {
namespace {

using ::testing::HasSubstr;

constexpr DepsWayKind kWays[] = {{"stock", "stock", false, nullptr},
                                 {"packed", "packed image", true, nullptr}};

DepsRow row_of(const DepsWayKind& way, std::vector<double> samples, double mappings, double pss) {
  DepsRow row{.way = &way, .samples = std::move(samples)};
  row.alone.mappings = mappings;
  row.together.pss = pss;
  return row;
}

// 10,000 libraries, and all floors just met.
DepsReport report_at_the_limit() {
  DepsReport report;
  report.shape.libs = 10'000;
  report.processes = 20;
  report.rows.push_back(row_of(kWays[0], {18e6, 18e6, 18e6}, 52'000, 800));
  report.rows.push_back(row_of(kWays[1], {60e3, 60e3, 60e3}, 3000, 100));
  report.rows[1].build_us = 9e6;
  return report;
}

unsigned count_met(const DepsReport& report) {
  unsigned met = 0;
  for (const DepsVerdict& v : judge_deps_floors(report)) met += v.met;
  return met;
}

TEST(DepsFloors, AreMetAtTheirLimits) {
  const DepsReport report = report_at_the_limit();
  EXPECT_EQ(judge_deps_floors(report).size(), 5U);
  EXPECT_EQ(count_met(report), 5U);
}

TEST(DepsFloors, AreMissedBeyond) {
  DepsReport report = report_at_the_limit();
  DepsRow& packed = report.rows[1];
  packed.samples = {61e3, 61e3, 61e3};  // neither 300x nor 60 ms
  EXPECT_EQ(count_met(report), 3U);
  packed.alone.mappings = 3001;
  EXPECT_EQ(count_met(report), 2U);
  packed.together.pss = 101;
  EXPECT_EQ(count_met(report), 1U);
  packed.build_us = 9.1e6;
  EXPECT_EQ(count_met(report), 0U);
}

TEST(DepsFloors, AreOfSoManyLibrariesOnly) {
  DepsReport report = report_at_the_limit();
  report.shape.libs = 1000;
  ASSERT_EQ(judge_deps_floors(report).size(), 1U);
  EXPECT_EQ(judge_deps_floors(report)[0].floor->limit, 20);
  report.shape.libs = 999;
  EXPECT_TRUE(judge_deps_floors(report).empty());
}

TEST(DepsFloors, AreNotMeasuredWithoutTheWay) {
  DepsReport report = report_at_the_limit();
  report.rows[1].absent = "not here";
  for (const DepsVerdict& v : judge_deps_floors(report)) {
    EXPECT_FALSE(v.figure);
    EXPECT_EQ(deps_verdict_word(v), "-");
    EXPECT_THAT(deps_verdict_text(v), HasSubstr("not measured"));
  }
  report.rows.pop_back();  // not even asked for
  EXPECT_TRUE(judge_deps_floors(report).empty());
}

TEST(DepsFloors, SayWhenRoundsDisagree) {
  DepsReport report = report_at_the_limit();
  report.rows[1].samples = {30e3, 30e3, 30e3, 90e3, 90e3, 90e3};
  report.rows[0].samples = {18e6, 18e6, 18e6, 18e6, 18e6, 18e6};
  const auto verdicts = judge_deps_floors(report);
  EXPECT_EQ(deps_verdict_word(verdicts[0]), "met?");
  EXPECT_THAT(deps_verdict_text(verdicts[0]), HasSubstr("(rounds "));
}

}  // namespace
}  // namespace prewarm::cli
