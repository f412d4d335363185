// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "cli/bench_spawn_report.h"
#include "cli/bench_spawn_ways.h"

namespace prewarm::cli {
namespace {

constexpr SpawnWayKind kWays[] = {{"fork", "fork", 99, true, false, nullptr},
                                  {"vfork", "vfork", 99, false, false, nullptr},
                                  {"posix_spawn", "posix_spawn", 99, false, false, nullptr},
                                  {"ring", "ring", 99, false, true, nullptr},
                                  {"ring-awake", "ring, awake", 99, false, true, nullptr},
                                  {"ring-direct", "ring, no task", 99, false, true, nullptr}};

const SpawnCallerKind& caller_named(std::string_view name) {
  return *std::ranges::find_if(kSpawnCallers, [&](const auto& c) { return c.name == name; });
}

// Two rounds of every cell, in which all metrics of a cell have the same value in µs.
class Floors : public ::testing::Test {
 protected:
  Floors() {
    for (const SpawnWayKind& way : kWays) {
      for (const SpawnCallerKind& caller : kSpawnCallers) {
        for (const char* program : kSpawnPrograms) {
          for (const unsigned outstanding : {0U, 1U, 4U, 16U}) {
            report_.cells.push_back({&way, &caller, program, outstanding});
          }
        }
      }
    }
  }

  // "ring" stands for all its forms.
  void set(std::string_view way, std::string_view caller, unsigned outstanding, double us) {
    for (SpawnCell& cell : report_.cells) {
      const std::string_view name = cell.way->name;
      const bool meant = name == way || (way == "ring" && name.starts_with("ring-"));
      if (!meant || cell.caller != &caller_named(caller)) continue;
      if (cell.outstanding != outstanding) continue;
      // The dynamic program's must not matter.
      const double value = std::string_view(cell.program) == "static" ? us : 1e9;
      cell.samples.assign(outstanding == 0 ? std::size_t{kSpawnMetrics} : 1, {value, value});
      cell.rounds = cell.samples;
    }
  }

  void set_all() {
    set("fork", "touched", 0, 7000);
    set("vfork", "base", 0, 60);
    set("posix_spawn", "base", 0, 70);
    set("ring", "base", 0, 60);
    set("ring", "touched", 0, 60);
    set("posix_spawn", "base", 1, 150);
    set("ring", "base", 16, 75);
    set("ring", "touched", 16, 75);
  }

  SpawnReport report_;
};

TEST_F(Floors, EachIsAboutItsOwnFigures) {
  set_all();
  const auto verdicts = judge_spawn_floors(report_);
  const std::vector<std::pair<double, bool>> expected = {
      {1, false},           // blocked: 20x less than vfork
      {1, true},            // to the child: at most 1.1x vfork
      {70.0 / 60, true},    // to the child: faster than posix_spawn
      {7000.0 / 60, true},  // 1 GiB touched: 50x as fast as fork
      {2, true},            // 16 outstanding: 1.5x a loop of posix_spawn
      {1, true},            // flat
      {1, true},           {1, true}};
  ASSERT_EQ(verdicts.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(verdicts[i].verdict.has_value()) << i;
    EXPECT_DOUBLE_EQ(verdicts[i].verdict->measured, expected[i].first) << i;
    EXPECT_EQ(verdicts[i].verdict->met, expected[i].second) << i;
  }
}

TEST_F(Floors, FlatMeansNeitherSlowerNorFaster) {
  for (const double us : {50.0, 70.0}) {
    set_all();
    set("ring", "touched", 0, us);
    set("ring", "touched", 16, 75);
    const auto verdicts = judge_spawn_floors(report_);
    EXPECT_FALSE(verdicts[5].verdict->met) << us;
    EXPECT_FALSE(verdicts[6].verdict->met) << us;
    EXPECT_TRUE(verdicts[7].verdict->met) << us;
  }
}

TEST_F(Floors, BlockedAndToTheChildAreTakenFromTheirOwnMetric) {
  set_all();
  for (SpawnCell& cell : report_.cells) {
    if (cell.outstanding != 0 || !cell.measured()) continue;
    const bool ring = std::string_view(cell.way->name).starts_with("ring");
    cell.rounds[kBlocked] = ring ? std::vector<double>{2, 2} : std::vector<double>{50, 50};
    cell.rounds[kToEnd] = {1e9, 1e9};
  }
  const auto verdicts = judge_spawn_floors(report_);
  EXPECT_DOUBLE_EQ(verdicts[0].verdict->measured, 25);
  EXPECT_TRUE(verdicts[0].verdict->met);
  EXPECT_DOUBLE_EQ(verdicts[1].verdict->measured, 1);
}

TEST_F(Floors, MinimaAreTakenOfAllSamples) {
  set_all();
  for (SpawnCell& cell : report_.cells) {
    if (cell.measured() && std::string_view(cell.way->name).starts_with("ring")) {
      cell.samples[kBlocked % cell.samples.size()] = {9, 3, 5};
    }
  }
  const auto verdicts = judge_spawn_floors(report_);
  EXPECT_DOUBLE_EQ(verdicts[0].of_minima, 20);
  EXPECT_DOUBLE_EQ(verdicts[0].verdict->measured, 1);
}

TEST_F(Floors, WhatWasNotMeasuredIsNotJudgedButNamed) {
  set_all();
  for (SpawnCell& cell : report_.cells) {
    if (cell.caller == &kTouchedCaller) cell.samples.clear();
  }
  const auto verdicts = judge_spawn_floors(report_);
  EXPECT_TRUE(verdicts[0].verdict.has_value());
  for (const std::size_t i : {3, 5, 6, 7}) EXPECT_FALSE(verdicts[i].verdict.has_value()) << i;
  EXPECT_EQ(measure::demand_text(verdicts[3].demand),
            "ring, 1 GiB touched at least 50x as fast as fork, 1 GiB touched");
}

TEST_F(Floors, RatesSayHowManyAreOutstanding) {
  set_all();
  const auto verdicts = judge_spawn_floors(report_);
  EXPECT_EQ(measure::demand_text(verdicts[4].demand),
            "ring (16 outstanding) at least 1.5x as fast as posix_spawn (1 outstanding)");
}

}  // namespace
}  // namespace prewarm::cli
