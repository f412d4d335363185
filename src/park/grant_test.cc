// SPDX-License-Identifier: MIT
//
// Requests that are sent before it is certain that they may be served.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>

#include <fstream>

#include "os/clock.h"
#include "os/process.h"
#include "park/testing.h"

namespace prewarm::park {
namespace {

using launch::TestRequest;

// What the process waits in: the number of the system call, or -1 if it isn't in one.
long system_call_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
  long number = -1;
  file >> number;
  return file ? number : -1;
}

class GrantTest : public PoolFixture {
 protected:
  // Claims a process and sends it what prints "ran"; waits until it sleeps for our grant.
  void send_ahead(const char* path, unsigned want) {
    const Isolation isolation = want == 0 ? Isolation::exec : Isolation::clone;
    ASSERT_NO_FATAL_FAILURE(park(path, want, program_, isolation));
    claimed_ = claim(program_);
    output_ = os::make_pipe();
    TestRequest request({path, "ran"});
    const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    use_pipe(request, output_, null);
    std::vector<char> bytes;
    ASSERT_TRUE(launch::write_request(request.get(), claimed_.generation, bytes));
    std::vector<int> fds;
    for (const auto& d : request.descriptors) fds.push_back(d.source);
    fds.push_back(request.cwd.get());
    ASSERT_TRUE(pool().send_ahead(claimed_, bytes, fds));
    output_.write.reset();
    const std::int64_t deadline = os::now_ns() + os::kBoundMs * os::kNsPerMs;
    while (system_call_of(claimed_.pid) != SYS_futex) {
      ASSERT_LT(os::now_ns(), deadline) << "it doesn't wait";
      ::sched_yield();
    }
    EXPECT_EQ(pool().state(claimed_), SlotState::claimed);
    EXPECT_FALSE(os::wait_readable(output_.read.get(), 0)) << "it has written something";
  }

  unsigned program_ = 0;
  Claim claimed_;
  os::Pipe output_;
};

TEST_F(GrantTest, WhatIsGrantedRuns) {
  ASSERT_NO_FATAL_FAILURE(send_ahead(kPrintf, 1));
  EXPECT_TRUE(pool().grant(claimed_));
  EXPECT_TRUE(pool().wait_taken(claimed_));
  EXPECT_EQ(os::read_all(output_.read.get()), "ran");
  int status = 0;
  EXPECT_EQ(reap(claimed_.pid, &status), Ended::launched);
  EXPECT_EQ(exit_of(status), "exit 0");
}

TEST_F(GrantTest, SoDoesWhatServesOnce) {
  ASSERT_NO_FATAL_FAILURE(send_ahead(kPrintf, 0));
  EXPECT_EQ(pool().find(kPrintf), -1) << "it could be claimed again";
  EXPECT_TRUE(pool().grant(claimed_));
  EXPECT_EQ(os::read_all(output_.read.get()), "ran");
  EXPECT_EQ(reap(claimed_.pid), Ended::launched);
}

TEST_F(GrantTest, WhatIsRevokedNeverRuns) {
  ASSERT_NO_FATAL_FAILURE(send_ahead(kPrintf, 1));
  pool().revoke(claimed_);
  int status = 0;
  EXPECT_EQ(reap(claimed_.pid, &status), Ended::parked);
  EXPECT_EQ(exit_of(status), "signal 9");
  EXPECT_EQ(os::read_all(output_.read.get()), "");
  EXPECT_EQ(pool().state(claimed_), SlotState::empty);
}

TEST_F(GrantTest, NothingIsGrantedToTheDead) {
  ASSERT_NO_FATAL_FAILURE(send_ahead(kPrintf, 1));
  ::kill(claimed_.pid, SIGKILL);
  EXPECT_EQ(reap(claimed_.pid), Ended::parked);
  EXPECT_FALSE(pool().grant(claimed_));
}

// It has died, but nobody has told the pool yet: as with every request, that is noticed at its end.
TEST_F(GrantTest, AGrantThatNobodyTakesIsNoLaunch) {
  ASSERT_NO_FATAL_FAILURE(send_ahead(kPrintf, 1));
  ::kill(claimed_.pid, SIGKILL);
  ASSERT_TRUE(os::has_ended(os::watch(claimed_.pid)));
  EXPECT_TRUE(pool().grant(claimed_));
  EXPECT_FALSE(pool().wait_taken(claimed_));
  EXPECT_EQ(reap(claimed_.pid), Ended::parked);
}

TEST_F(GrantTest, WhoWaitsForAGrantEndsWithThePool) {
  ASSERT_NO_FATAL_FAILURE(send_ahead(kPrintf, 1));
  pool().shut_down();
  EXPECT_TRUE(os::is_childless());
  EXPECT_EQ(os::read_all(output_.read.get()), "");
}

}  // namespace
}  // namespace prewarm::park
