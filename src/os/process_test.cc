// SPDX-License-Identifier: MIT
#include "os/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "os/testing.h"

namespace prewarm::os {
namespace {

TEST(ProcessTest, AZombieHasEnded) {
  const pid_t pid = fork_flushed();
  if (pid == 0) {
    ::pause();
    ::_exit(0);
  }
  const Fd watched = watch(pid);
  ASSERT_TRUE(watched.valid());
  EXPECT_FALSE(ended(watched));
  EXPECT_FALSE(ended(pid));
  EXPECT_FALSE(ended_status(watched, pid).has_value());
  ::kill(pid, SIGKILL);
  ASSERT_TRUE(has_ended(watched, kBoundMs));
  EXPECT_TRUE(ended(watched));
  EXPECT_TRUE(ended(pid));
  EXPECT_EQ(ended_status(watched, pid), SIGKILL);
  ::waitpid(pid, nullptr, 0);
  EXPECT_TRUE(ended(watched));
  EXPECT_TRUE(ended(pid));
}

TEST(ProcessTest, TheStatusIsToldBeforeAndAfterItWasWaitedFor) {
  for (const int status : {0, 3 << 8, SIGTERM}) {
    const pid_t pid = fork_flushed();
    if (pid == 0) {
      if (status == SIGTERM) ::raise(SIGTERM);
      ::_exit(status >> 8);
    }
    const Fd watched = watch(pid);
    ASSERT_TRUE(has_ended(watched, kBoundMs));
    EXPECT_EQ(ended_status(watched, pid), status);
    ASSERT_EQ(wait_for(pid), status);
    const auto told = ended_status(watched, pid);
    if (!told && status == 0) GTEST_SKIP() << "a kernel before 6.15";
    EXPECT_EQ(told, status);
  }
}

TEST(ProcessTest, WithoutADescriptorNobodyIsTakenForDead) {
  constexpr pid_t kInit = 1;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_FALSE(watch(kInit).valid());
  EXPECT_FALSE(ended(kInit));
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(ended(kInit));
}

TEST(ProcessTest, NoProcessNoWatch) { EXPECT_FALSE(watch(1 << 23).valid()); }

}  // namespace
}  // namespace prewarm::os
