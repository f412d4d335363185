// SPDX-License-Identifier: MIT
#include "os/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <type_traits>
#include <utility>

#include "os/testing.h"

namespace prewarm::os {
namespace {

static_assert(!std::is_copy_constructible_v<Fd>);
static_assert(!std::is_copy_assignable_v<Fd>);
static_assert(!std::is_convertible_v<Fd, bool>);
static_assert(!std::is_convertible_v<int, Fd>);
static_assert(std::is_nothrow_move_constructible_v<Fd>);

Fd open_null(int flags = O_CLOEXEC) { return Fd(::open("/dev/null", O_RDWR | flags)); }

TEST(FdTest, ClosesWhatItOwns) {
  int number = -1;
  {
    const Fd fd = open_null();
    number = fd.get();
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(FdTest, IsInvalidUntilItOwnsSomething) {
  const Fd fd;
  EXPECT_FALSE(fd.valid());
  EXPECT_EQ(fd.get(), -1);
  Fd standard_input(0);
  EXPECT_TRUE(standard_input.valid()) << "zero is a descriptor like any other";
  standard_input.release();
}

TEST(FdTest, MovingLeavesTheSourceEmptyAndTheDescriptorOpen) {
  Fd from = open_null();
  const int number = from.get();
  const Fd to(std::move(from));
  EXPECT_FALSE(from.valid());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(to.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(FdTest, MoveAssignmentClosesWhatTheTargetOwned) {
  Fd from = open_null();
  Fd to = open_null();
  const int kept = from.get();
  const int closed = to.get();
  to = std::move(from);
  EXPECT_EQ(to.get(), kept);
  EXPECT_TRUE(is_open(kept));
  EXPECT_FALSE(is_open(closed));
}

TEST(FdTest, MoveAssignmentToItselfChangesNothing) {
  Fd fd = open_null();
  const int number = fd.get();
  Fd& same = fd;
  fd = std::move(same);
  EXPECT_EQ(fd.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(FdTest, ReleaseGivesTheDescriptorAway) {
  Fd fd = open_null();
  const int number = fd.release();
  EXPECT_FALSE(fd.valid());
  EXPECT_TRUE(is_open(number));
  fd.reset(number);
}

TEST(FdTest, ResetClosesTheOldAndTakesTheNew) {
  Fd fd = open_null();
  const int old = fd.get();
  fd.reset(open_null().release());
  EXPECT_TRUE(fd.valid());
  EXPECT_FALSE(is_open(old));
  const int second = fd.get();
  fd.reset();
  EXPECT_FALSE(fd.valid());
  EXPECT_FALSE(is_open(second));
}

TEST(MoveAboveTest, TakesTheLowestFreeNumberFromTheFloorOnAndClosesTheOld) {
  Fd low = open_null(0);
  const int before = low.get();
  ASSERT_FALSE(is_open(700));
  const Fd high = move_above(std::move(low), 700);
  EXPECT_EQ(high.get(), 700);
  EXPECT_FALSE(is_open(before));
  EXPECT_EQ(::fcntl(high.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(move_above(open_null(), 700).get(), 701);
}

TEST(MoveAboveTest, LeavesADescriptorThatIsHighEnough) {
  Fd fd = open_null();
  const int number = fd.get();
  EXPECT_EQ(move_above(std::move(fd), number).get(), number);
}

TEST(MoveAboveTest, ClosesADescriptorThatCannotBeMoved) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  Fd fd = open_null();
  const int number = fd.get();
  EXPECT_FALSE(move_above(std::move(fd), static_cast<int>(limit.rlim_cur)).valid());
  EXPECT_FALSE(is_open(number));
}

TEST(MoveAboveTest, PassesAnInvalidOneThrough) { EXPECT_FALSE(move_above(Fd(), 10).valid()); }

}  // namespace
}  // namespace prewarm::os
