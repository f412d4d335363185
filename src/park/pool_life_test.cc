// SPDX-License-Identifier: MIT
//
// How parked programs and their pool come to an end: served once, changed on disk, shut down,
// killed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include "os/process.h"
#include "park/testing.h"

namespace prewarm::park {
namespace {

using launch::Reason;
using launch::TestRequest;

using PoolLifeTest = PoolFixture;

// ---- Programs that are parked singly -----------------------------------------------------------

TEST_F(PoolLifeTest, AProgramThatIsNotClonedServesOnce) {
  for (const bool isolated : {true, false}) {
    unsigned program = 0;
    ASSERT_NO_FATAL_FAILURE(
        park(kPrintf, isolated ? 1 : 0, program, isolated ? Isolation::exec : Isolation::clone));
    EXPECT_EQ(table(program).clonable.load(), 0U);
    EXPECT_TRUE(idle_pids(program).empty());
    EXPECT_EQ(claim_error(program, SlotKind::brokered), Reason::pool_busy);
    Claim claimed = claim(program);
    EXPECT_EQ(claimed.slot, -1);
    EXPECT_EQ(claim_error(program), Reason::pool_busy);
    pool().give_back(claimed);
    claimed = claim(program);
    TestRequest request({"printf", "once"});
    EXPECT_EQ(launch(claimed, request).text, "once");
    EXPECT_EQ(claim_error(program), Reason::died);
    EXPECT_EQ(pool().find(kPrintf), -1);
  }
}

TEST_F(PoolLifeTest, ASingleParkedProcessThatIsKilledHasNotLaunched) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 1, program, Isolation::exec));
  const Claim claimed = claim(program);
  ::kill(claimed.pid, SIGKILL);
  EXPECT_FALSE(pool().wait_taken(claimed));
  EXPECT_EQ(reap(claimed.pid), Ended::parked);
}

// ---- Freshness ---------------------------------------------------------------------------------

TEST_F(PoolLifeTest, WhatHasNotChangedIsFresh) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  set_parking_env({"PATH=/somewhere/else", "ANYTHING=1"});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  set_parking_env({"LD_BIND_NOT=1"});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::library_path);
}

TEST_F(PoolLifeTest, AReplacedProgramIsNotRunAnyMore) {
  const os::TempDirectory temp;
  const std::string path = temp / "program";
  std::filesystem::copy_file(kPrintf, path);
  PoolOptions with_more = options();
  with_more.more_directories = temp.path();
  make_pool(with_more);
  for (const bool in_place : {true, false}) {
    unsigned program = 0;
    ASSERT_NO_FATAL_FAILURE(park(path, 1, program));
    EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
    if (in_place) {
      ASSERT_EQ(::chmod(path.c_str(), 0711), 0);
    } else {
      std::filesystem::copy_file(kPrintf, temp / "new");
      std::filesystem::rename(temp / "new", path);
    }
    EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::file_changed);
    EXPECT_EQ(claim_error(program), Reason::file_changed);
    EXPECT_EQ(pool().find(path.c_str()), -1) << "it can be parked anew";
  }
  std::filesystem::remove(path);
  unsigned program = 0;
  std::filesystem::copy_file(kPrintf, path);
  ASSERT_NO_FATAL_FAILURE(park(path, 1, program));
  std::filesystem::remove(path);
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::file_changed);
}

TEST_F(PoolLifeTest, WhatWasParkedOfAReplacedProgramEnds) {
  const os::TempDirectory temp;
  const std::string path = temp / "program";
  PoolOptions with_more = options();
  with_more.more_directories = temp.path();
  make_pool(with_more);
  for (const unsigned clones : {0U, 3U}) {
    std::filesystem::copy_file(kPrintf, path);
    unsigned program = 0;
    ASSERT_NO_FATAL_FAILURE(park(path, clones, program));
    Claim kept;
    if (clones != 0) kept = claim(program);
    std::vector<os::Fd> parked;
    parked.push_back(os::watch(table(program).pid.load()));
    for (const pid_t pid : idle_pids(program)) parked.push_back(os::watch(pid));
    std::filesystem::remove(path);
    EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::file_changed);
    for (const os::Fd& process : parked) EXPECT_TRUE(os::has_ended(process));
    if (clones == 0) continue;
    EXPECT_EQ(pool().state(kept), SlotState::claimed)
        << "a launch that is under way is not touched";
    pool().give_back(kept);
    EXPECT_NE(pool().state(kept), SlotState::idle) << "it could be claimed again";
    EXPECT_EQ(reap(kept.pid), Ended::parked);
  }
}

// ---- The end of the pool -----------------------------------------------------------------------

TEST_F(PoolLifeTest, ShutDownEndsEverythingThatIsParked) {
  const std::set<int> before = os::open_descriptors();
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 4, program));
  ASSERT_NO_FATAL_FAILURE(park(kCat, 0, program));
  // This one may still be anywhere on its way.
  ASSERT_TRUE(pool().park(kShell, parking_env(), 2, Isolation::clone).has_value());
  pool().shut_down();
  EXPECT_TRUE(os::is_childless());
  EXPECT_EQ(pool().find(kTrue), -1);
  EXPECT_EQ(pool().warm_count(), 0U);
  drop_pool();
  EXPECT_EQ(os::open_descriptors(), before);
}

TEST_F(PoolLifeTest, ShutDownEndsWhatIsClaimedButNotReleased) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 2, program));
  claim(program);
  pool().shut_down();
  EXPECT_TRUE(os::is_childless());
}

// A clone that was just being made when its zygote was told to end.
TEST_F(PoolLifeTest, ShutDownEndsWhatIsStillBeingMade) {
  for (int i = 0; i < 20; ++i) {
    make_pool();
    const auto parked = pool().park(kTrue, parking_env(), 4, Isolation::clone);
    ASSERT_TRUE(parked.has_value());
    // From the very start to the last clone.
    ASSERT_TRUE(i == 0 || pool().wait_parked(*parked, os::kBoundMs));
    wait_idle(*parked, i == 0 ? 0 : static_cast<unsigned>(i) % 4);
    pool().shut_down();
    ASSERT_TRUE(os::is_childless()) << "round " << i;
  }
}

TEST_F(PoolLifeTest, ShutDownLeavesRunningLaunchesAlone) {
  unsigned cloned = 0;
  unsigned single = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 1, cloned));
  ASSERT_NO_FATAL_FAILURE(park(kCat, 0, single));
  for (const unsigned program : {cloned, single}) {
    os::Pipe input = os::make_pipe();
    os::Pipe output = os::make_pipe();
    const Claim claimed = claim(program);
    TestRequest request({"cat"});
    request.descriptors = {{input.read.get(), 0}, {output.write.get(), 1}};
    ASSERT_TRUE(pool().release(claimed, request.get()));
    ASSERT_TRUE(pool().wait_taken(claimed));
    if (program == single) pool().shut_down();
    output.write.reset();
    EXPECT_EQ(::write(input.write.get(), "still here", 10), 10);
    input.write.reset();
    EXPECT_EQ(os::read_all(output.read.get()), "still here");
    EXPECT_EQ(exit_of(os::wait_for(claimed.pid)), "exit 0");
  }
}

// ---- Copies of the owner -----------------------------------------------------------------------

TEST_F(PoolLifeTest, AForkedCopyIsNotTheOwner) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  os::Child copy([&] {
    if (pool().is_owner()) return 1;
    if (pool().park(kFalse, parking_env(), 1, Isolation::clone).has_value()) return 2;
    pool().abandon();
    drop_pool();
    return 0;
  });
  EXPECT_EQ(exit_of(copy.wait()), "exit 0");
  EXPECT_EQ(exit_of(run(program, {"true"})), "exit 0") << "the owner's pool is as it was";
}

TEST_F(PoolLifeTest, AForkedCopyThatEndsTakesNothingWithIt) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  os::Child copy([&] {
    drop_pool();
    return 0;
  });
  EXPECT_EQ(exit_of(copy.wait()), "exit 0");
  EXPECT_EQ(idle_pids(program).size(), 1U);
  EXPECT_EQ(exit_of(run(program, {"true"})), "exit 0");
}

TEST_F(PoolLifeTest, NothingParkedOutlivesAnOwnerThatIsKilled) {
  struct Parked {
    pid_t pids[7];
  };
  os::Pipe report = os::make_pipe();
  os::Pipe life = os::make_pipe();
  os::Pipe no_end = os::make_pipe();
  os::Child owner([&] {
    life.write.reset();
    unsigned cloned = 0;
    unsigned single = 0;
    park(kTrue, 4, cloned);
    park(kCat, 0, single);
    Parked parked{};
    std::size_t n = 0;
    parked.pids[n++] = table(cloned).pid.load();
    parked.pids[n++] = table(single).pid.load();
    for (const pid_t pid : idle_pids(cloned)) parked.pids[n++] = pid;
    // A subshell that lives on and holds every socket of the pool. It ends with this test.
    const pid_t subshell = ::fork();
    if (subshell == 0) {
      os::read_all(life.read.get());
      ::_exit(0);
    }
    parked.pids[n++] = subshell;
    os::write_value(report.write.get(), parked);
    os::read_all(no_end.read.get());
    return 0;
  });
  Parked parked{};
  ASSERT_TRUE(os::read_value(report.read.get(), parked));
  std::vector<os::Fd> ends;
  for (const pid_t pid : parked.pids) {
    ASSERT_GT(pid, 0);
    ends.push_back(os::watch(pid));
    ASSERT_FALSE(os::has_ended(ends.back(), 0));
  }
  owner.kill();
  EXPECT_EQ(exit_of(owner.wait()), "signal 9");
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) EXPECT_TRUE(os::has_ended(ends[i])) << i;
  EXPECT_FALSE(os::has_ended(ends.back(), 0)) << "the subshell was to hold the sockets until now";
  life.write.reset();
  EXPECT_TRUE(os::has_ended(ends.back()));
}

}  // namespace
}  // namespace prewarm::park
