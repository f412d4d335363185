// SPDX-License-Identifier: MIT
//
// What is done ahead of a launch so that it is short: which pages are learned and brought in, which
// mappings are gathered, and that the work of it is done in the background but leaves no trace in
// the program. Not for speed: that is measured in bench/.
#include <sched.h>

#include <fstream>

#include "os/scheduling.h"
#include "park/testing.h"
#include "park/testing/say.h"

namespace prewarm::park {
namespace {

using os::Scheduling;

Scheduling scheduling_of(pid_t pid) {
  Scheduling s;
  EXPECT_EQ(::syscall(SYS_sched_getattr, pid, &s, sizeof s, 0), 0);
  return s;
}

LearnState learned(const Program& program) {
  return static_cast<LearnState>(program.learn_state.load());
}

std::size_t pages(const Program& program, bool written) {
  std::size_t n = 0;
  for (unsigned i = 0; i < program.range_count.load(); ++i) {
    if ((program.ranges[i].written != 0) == written) n += program.ranges[i].pages;
  }
  return n;
}

// Of the table of testing/say.c, which starts there.
std::size_t pages_of_table(const Program& program, std::uint64_t start) {
  constexpr std::uint64_t kSize = std::uint64_t{kSayPages} * kSayPageSize;
  std::size_t n = 0;
  for (unsigned i = 0; i < program.range_count.load(); ++i) {
    const PageRange& range = program.ranges[i];
    for (std::size_t k = 0; k < range.pages; ++k) {
      const std::uint64_t at = range.start + k * kSayPageSize;
      n += at + kSayPageSize > start && at < start + kSize;
    }
  }
  return n;
}

// Lines of /proc/PID/maps that name `place`.
unsigned mappings_of(pid_t pid, const std::string& place) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  unsigned n = 0;
  for (std::string line; std::getline(maps, line);) n += line.find(place) != std::string::npos;
  return n;
}

class AheadTest : public PoolFixture {
 protected:
  // Parks a program that nobody else has: the kernel says which pages of a file are accessed
  // together with what all others do with it.
  void park_say(unsigned& program) {
    const std::string own = directory_ / "say";
    std::filesystem::copy_file(PREWARM_TEST_SAY, own);
    PoolOptions with_own = options();
    with_own.more_directories = directory_.path();
    ASSERT_NO_FATAL_FAILURE(make_pool(with_own));
    park(own, 2, program);
  }

  void launch_often(unsigned program, const std::string& name, unsigned times) {
    for (unsigned i = 0; i < times; ++i) {
      const std::string text = std::to_string(i);
      const Outcome outcome = run(program, {name, text});
      ASSERT_EQ(outcome.text, text);
      ASSERT_EQ(exit_of(outcome), "exit 0");
      pool().refill(program);
    }
  }

 private:
  os::TempDirectory directory_;
};

TEST_F(AheadTest, TheFirstReleaseTellsWhichPagesAreTouched) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 2, program));
  EXPECT_EQ(learned(table(program)), LearnState::unknown);
  ASSERT_NO_FATAL_FAILURE(launch_often(program, kPrintf, 1));
  EXPECT_EQ(learned(table(program)), LearnState::present);
  EXPECT_GT(pages(table(program), true), 0U);
  EXPECT_GT(pages(table(program), false), 0U);
}

TEST_F(AheadTest, OfManyReleasesOneTellsWhichAreAccessed) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park_say(program));
  const Outcome place = run(program, {"say"});
  const std::uint64_t start = std::strtoull(place.text.c_str(), nullptr, 10);
  ASSERT_NE(start, 0U);
  pool().refill(program);
  // A fault brings its neighbours with it.
  const std::size_t present = pages_of_table(table(program), start);
  EXPECT_GE(present, 8 * kSayPagesRead);
  ASSERT_NO_FATAL_FAILURE(launch_often(program, "say", 70));
  EXPECT_EQ(learned(table(program)), LearnState::accessed);
  // All that is read, and little more: what the kernel holds together counts together.
  const std::size_t accessed = pages_of_table(table(program), start);
  EXPECT_GE(accessed, kSayPagesRead);
  EXPECT_LE(accessed, present / 2);
  // What comes after is launched with what was learned.
  ASSERT_NO_FATAL_FAILURE(launch_often(program, "say", 10));
}

TEST_F(AheadTest, ClonesAreScheduledAsTheirOwnerIs) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 1, program));
  const Scheduling own = scheduling_of(0);
  ASSERT_EQ(own.policy, os::kUsualPolicy);
  EXPECT_EQ(scheduling_of(table(program).pid.load()).policy, os::kBatchPolicy);
  for (const pid_t pid : idle_pids(program)) {
    const Scheduling s = scheduling_of(pid);
    EXPECT_EQ(s.policy, own.policy);
    EXPECT_EQ(s.nice, own.nice);
    EXPECT_EQ(s.runtime, own.runtime);
  }
}

TEST_F(AheadTest, WhatServesOnceIsScheduledAsItsOwnerIs) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 0, program));
  const Scheduling own = scheduling_of(0);
  const Scheduling s = scheduling_of(table(program).pid.load());
  EXPECT_EQ(s.policy, own.policy);
  EXPECT_EQ(s.runtime, own.runtime);
}

TEST_F(AheadTest, AnOwnersOwnPolicyIsKept) {
  const sched_param none{};
  ASSERT_EQ(::sched_setscheduler(0, SCHED_BATCH, &none), 0);
  unsigned program = 0;
  park(kPrintf, 1, program);
  for (const pid_t pid : idle_pids(program)) EXPECT_EQ(::sched_getscheduler(pid), SCHED_BATCH);
  ASSERT_EQ(::sched_setscheduler(0, SCHED_OTHER, &none), 0);
}

TEST_F(AheadTest, SmallLocaleFilesAreOneMapping) {
  constexpr char kPlace[] = "/usr/lib/locale/C.utf8/";
  if (!std::filesystem::exists(kPlace)) GTEST_SKIP() << "there is no " << kPlace;
  set_parking_env({"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"});
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 1, program));
  for (const pid_t pid : idle_pids(program)) EXPECT_LE(mappings_of(pid, kPlace), 2U);
  // Yet all is there.
  launch::TestRequest request({kPrintf, "%.3d\\n", "7"});
  request.env = {"LC_ALL=C.UTF-8"};
  EXPECT_EQ(launch(claim(program), request).text, "007\n");
}

}  // namespace
}  // namespace prewarm::park
