// SPDX-License-Identifier: MIT
#include "image/service_failures.h"

#include <gtest/gtest.h>

namespace prewarm::image {
namespace {

MapTarget target(std::uint64_t inode) {
  MapTarget t;
  t.program.inode = inode;
  t.path = "/program" + std::to_string(inode);
  return t;
}

TEST(Failures, ArePausesThatGrow) {
  Failures failures;
  const MapTarget program = target(1);
  constexpr std::int64_t kPause = Failures::kPauseNs;
  failures.add(program, Refusal::not_linked, 0);
  EXPECT_EQ(failures.why_not(program, kPause - 1), Refusal::not_linked);
  EXPECT_EQ(failures.why_not(program, kPause), std::nullopt);
  failures.add(program, Refusal::build_failed, kPause);
  EXPECT_EQ(failures.why_not(program, 3 * kPause - 1), Refusal::build_failed);
  EXPECT_EQ(failures.why_not(program, 3 * kPause), std::nullopt);
  for (int i = 0; i < 1000; ++i) failures.add(program, Refusal::build_failed, 0);
  EXPECT_EQ(failures.why_not(program, Failures::kLongestPauseNs), std::nullopt);
}

TEST(Failures, AreOfOneFileOnly) {
  Failures failures;
  failures.add(target(1), Refusal::not_linked, 0);
  MapTarget changed = target(1);
  changed.program.changed_ns = 5;
  EXPECT_EQ(failures.why_not(changed, 0), std::nullopt);
  EXPECT_EQ(failures.why_not(target(2), 0), std::nullopt);
}

TEST(Failures, CanBeForgotten) {
  Failures failures;
  failures.add(target(1), Refusal::not_linked, 0);
  failures.add(target(2), Refusal::not_linked, 0);
  failures.forget(target(1));
  EXPECT_EQ(failures.why_not(target(1), 0), std::nullopt);
  failures.forget_program("/program2");
  EXPECT_EQ(failures.size(), 0U);
}

TEST(Failures, AreNotMoreThanTheBound) {
  Failures failures;
  for (std::size_t i = 0; i < 2 * Failures::kMost; ++i) {
    failures.add(target(i), Refusal::not_linked, static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(failures.size(), Failures::kMost);
  EXPECT_EQ(failures.why_not(target(0), 0), std::nullopt);
  EXPECT_EQ(failures.why_not(target(2 * Failures::kMost - 1), 0), Refusal::not_linked);
}

}  // namespace
}  // namespace prewarm::image
