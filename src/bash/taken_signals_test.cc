// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/taken_signals.h"

#include <gtest/gtest.h>

namespace prewarm::bash {
namespace {

constexpr std::uint64_t bit(int sig) { return std::uint64_t{1} << (sig - 1); }

TEST(TakenSignalsTest, NoneAtFirst) {
  const TakenSignals taken;
  EXPECT_EQ(taken.since(1), 0U);
}

TEST(TakenSignalsTest, TellsWhatWasTakenSince) {
  TakenSignals taken;
  taken.note(SIGHUP);
  const std::int64_t between = os::now_ns();
  taken.note(SIGTERM);
  taken.note(NSIG - 1);
  EXPECT_EQ(taken.since(between) & ~bit(SIGHUP), bit(SIGTERM) | bit(NSIG - 1));
  EXPECT_EQ(taken.since(between + 1) & bit(SIGHUP), 0U);
  EXPECT_EQ(taken.since(os::now_ns() + 1), 0U);
}

TEST(TakenSignalsTest, TheLastTimeCounts) {
  TakenSignals taken;
  taken.note(SIGINT);
  const std::int64_t later = os::now_ns();
  taken.note(SIGINT);
  EXPECT_EQ(taken.since(later), bit(SIGINT));
}

}  // namespace
}  // namespace prewarm::bash
