// SPDX-License-Identifier: MIT
#include "coproc/policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace prewarm::coproc {
namespace {

Candidate worker(unsigned room, unsigned load, std::string_view affinity, std::int64_t used) {
  return {true, room, load, affinity, used};
}

TEST(ChooseWorkerTest, NoneHasRoom) {
  const std::vector<Candidate> all{worker(0, 1, "", 1), {false, 1, 0, "", 2}};
  EXPECT_EQ(choose_worker(all, ""), std::nullopt);
}

TEST(ChooseWorkerTest, OfTheIdleOnesTheOneThatWasUsedLast) {
  const std::vector<Candidate> all{worker(1, 0, "", 5), worker(1, 0, "", 9), worker(1, 0, "", 7)};
  EXPECT_EQ(choose_worker(all, ""), 1U);
}

TEST(ChooseWorkerTest, AffinityGoesFirstIfItHasRoom) {
  const std::vector<Candidate> all{worker(1, 0, "b", 9), worker(1, 0, "a", 1)};
  EXPECT_EQ(choose_worker(all, "a"), 1U);
  const std::vector<Candidate> busy{worker(1, 0, "b", 9), worker(0, 1, "a", 1)};
  EXPECT_EQ(choose_worker(busy, "a"), 0U);
}

TEST(ChooseWorkerTest, NoAffinityIsNoAffinityToAll) {
  const std::vector<Candidate> all{worker(1, 0, "", 1), worker(1, 0, "x", 2)};
  EXPECT_EQ(choose_worker(all, ""), 1U);
}

TEST(ChooseWorkerTest, TheLeastLoadedOfThoseThatTakeSeveral) {
  const std::vector<Candidate> all{worker(5, 3, "", 9), worker(7, 1, "", 1)};
  EXPECT_EQ(choose_worker(all, ""), 1U);
}

TEST(WorkersToStartTest, OneForEachThatWaits) {
  EXPECT_EQ(workers_to_start(3, 0, 1, 0, 20), 3U);
  EXPECT_EQ(workers_to_start(3, 2, 1, 2, 20), 1U);
  EXPECT_EQ(workers_to_start(3, 3, 1, 3, 20), 0U);
}

TEST(WorkersToStartTest, NoMoreThanAllowed) {
  EXPECT_EQ(workers_to_start(1000, 0, 1, 0, 20), 20U);
  EXPECT_EQ(workers_to_start(1000, 0, 1, 19, 20), 1U);
  EXPECT_EQ(workers_to_start(1000, 0, 1, 20, 20), 0U);
}

TEST(WorkersToStartTest, OneThatTakesManyIsEnough) {
  EXPECT_EQ(workers_to_start(60, 0, 64, 0, 20), 1U);
  EXPECT_EQ(workers_to_start(65, 0, 64, 0, 20), 2U);
}

TEST(BackoffTest, PausesAfterSomeDeathsInARow) {
  Backoff backoff;
  backoff.died(10);
  backoff.died(10);
  EXPECT_EQ(backoff.until_ns(), 0);
  backoff.died(10);
  EXPECT_EQ(backoff.until_ns(), 10 + Backoff::kFirstPauseNs);
  backoff.died(10);
  EXPECT_EQ(backoff.until_ns(), 10 + 2 * Backoff::kFirstPauseNs);
  for (int i = 0; i < 100; ++i) backoff.died(10);
  EXPECT_EQ(backoff.until_ns(), 10 + Backoff::kLongestPauseNs);
}

TEST(BackoffTest, IsOverWhenOneHasServed) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) backoff.died(10);
  backoff.served();
  EXPECT_EQ(backoff.until_ns(), 0);
  backoff.died(20);
  EXPECT_EQ(backoff.until_ns(), 0);
}

}  // namespace
}  // namespace prewarm::coproc
