// SPDX-License-Identifier: MIT
//
// What the agent notes of code that runs before main, and what it refuses. The program that is
// parked here has a constructor that does what its environment asks for (testing/early.cc).
#include <gtest/gtest.h>

#include "park/testing.h"
#include "park/testing/early.h"

namespace prewarm::park {
namespace {

using launch::Reason;
using launch::TestRequest;

constexpr char kEarly[] = PREWARM_TEST_EARLY;

class AgentRecordTest : public PoolFixture {
 protected:
  void SetUp() override {
    PoolOptions with_early = options();
    with_early.more_directories = std::filesystem::path(kEarly).parent_path();
    make_pool(with_early);
  }

  void set_constructor(const std::string& wanted, std::vector<std::string> more = {}) {
    more.push_back(std::string(kEarlyVariable) + "=" + wanted);
    set_parking_env(std::move(more));
  }

  // Why this program is not parked, if its constructor does what `wanted` says.
  Reason refusal(const std::string& wanted) {
    set_constructor(wanted);
    const auto parked = pool().park(kEarly, parking_env(), 1, Isolation::clone);
    EXPECT_TRUE(parked.has_value());
    if (!parked) return parked.error();
    EXPECT_EQ(reap(table(*parked).pid.load()), Ended::parked);
    return claim_error(*parked);
  }

  // Launches it, and has it report what happened before its main.
  BeforeMain report(unsigned program) {
    BeforeMain reported;
    const os::Pipe channel = os::make_pipe();
    const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    TestRequest request({kEarly});
    request.descriptors = {
        {null.get(), 0}, {null.get(), 1}, {null.get(), 2}, {channel.write.get(), kReportFd}};
    EXPECT_EQ(exit_of(launch(claim(program), request)), "exit 0");
    EXPECT_TRUE(os::read_value(channel.read.get(), reported));
    return reported;
  }
};

TEST_F(AgentRecordTest, AVariableThatAConstructorReadMustKeepItsValue) {
  unsigned program = 0;
  set_constructor("look", {std::string(kSeenVariable) + "=old"});
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  set_constructor("look", {std::string(kSeenVariable) + "=old", "OTHER=1"});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  for (const char* value : {"=new", "=ol", "=older", "="}) {
    set_constructor("look", {kSeenVariable + std::string(value)});
    EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::variable_changed) << value;
  }
  set_constructor("look");
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::variable_changed) << "unset";
  set_constructor("look", {std::string(kSeenVariable) + "=old"});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  EXPECT_STREQ(report(program).seen, "old");
}

// Nobody has looked at it since it was parked.
TEST_F(AgentRecordTest, AVariableMustKeepItsValueUntilTheFirstUse) {
  set_constructor("look", {std::string(kSeenVariable) + "=old"});
  const auto parked = pool().park(kEarly, parking_env(), 1, Isolation::clone);
  ASSERT_TRUE(parked.has_value());
  ASSERT_TRUE(pool().wait_parked(*parked, os::kBoundMs));
  set_constructor("look", {std::string(kSeenVariable) + "=new"});
  EXPECT_EQ(pool().check_fresh(*parked, parking_env()), Reason::variable_changed);
}

TEST_F(AgentRecordTest, AVariableThatAConstructorMissedMustStayUnset) {
  unsigned program = 0;
  set_constructor("look");
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  set_constructor("look", {std::string(kSeenVariable) + "="});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::variable_changed);
}

TEST_F(AgentRecordTest, ConstructorsDoNotSeeWhatIsThereForTheAgent) {
  unsigned program = 0;
  set_constructor("look for the agent");
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  const BeforeMain seen = report(program);
  EXPECT_FALSE(seen.saw_preload);
  EXPECT_FALSE(seen.saw_orders);
}

TEST_F(AgentRecordTest, MoreVariablesThanCanBeWatchedAreRefused) {
  EXPECT_EQ(refusal("many variables"), Reason::manifest_full);
}

TEST_F(AgentRecordTest, OpenedDescriptorsAreRefused) {
  EXPECT_EQ(refusal("open"), Reason::opened_descriptors);
  EXPECT_EQ(refusal("open high"), Reason::opened_descriptors);
}

TEST_F(AgentRecordTest, ThreadsAreRefused) { EXPECT_EQ(refusal("thread"), Reason::has_threads); }

TEST_F(AgentRecordTest, WhatCannotServeEveryLaunchIsRefused) {
  for (const char* wanted : {"exit", "crash", "trap", "mask", "handler", "timer", "directory",
                             "fork", "raise", "print", "terminal", "relative", "write"}) {
    EXPECT_EQ(refusal(wanted), Reason::acts_early) << wanted;
  }
}

TEST_F(AgentRecordTest, LookingAtArgumentsOrEnvironmentIsRefused) {
  for (const char* wanted : {"argument", "name", "short name", "environment", "set a variable",
                             "clear the environment", "keep arguments", "keep a variable"}) {
    EXPECT_EQ(refusal(wanted), Reason::looks_early) << wanted;
  }
}

// Their pid is that of the launch only if they aren't cloned.
TEST_F(AgentRecordTest, ProgramsThatAskForTheirPidEarlyAreNotCloned) {
  unsigned program = 0;
  set_constructor("pid");
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  EXPECT_EQ(table(program).clonable.load(), 0U);
  const pid_t pid = table(program).pid.load();
  EXPECT_EQ(report(program).pid, pid);
}

TEST_F(AgentRecordTest, FilesMayBeRead) {
  unsigned program = 0;
  set_constructor("read");
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  EXPECT_TRUE(report(program).has_read);
}

// libc asks itself where the locale is, without a call that others could answer.
TEST_F(AgentRecordTest, VariablesThatLibcReadsMustKeepTheirValue) {
  unsigned program = 0;
  set_constructor("locale", {"LC_ALL=C"});
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  set_constructor("locale", {"LC_ALL=C.UTF-8"});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::variable_changed);
}

TEST_F(AgentRecordTest, ForkHandlersRunAsInAFork) {
  unsigned program = 0;
  set_constructor("handlers");
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  const BeforeMain first = report(program);
  EXPECT_EQ(first.prepared, 2);
  EXPECT_EQ(first.in_parent, 0);
  EXPECT_EQ(first.in_child, 2);
  pool().refill(program);
  ASSERT_GE(wait_idle(program, 1), 1U);
  const BeforeMain second = report(program);
  EXPECT_EQ(second.in_child, 2);
  EXPECT_EQ(second.prepared, second.in_parent + 2) << "the zygote's own share";
}

TEST_F(AgentRecordTest, MoreForkHandlersThanCanBeNotedAreNotCloned) {
  unsigned program = 0;
  set_constructor("many handlers");
  ASSERT_NO_FATAL_FAILURE(park(kEarly, 1, program));
  EXPECT_EQ(table(program).clonable.load(), 0U);
  const BeforeMain seen = report(program);
  EXPECT_EQ(seen.in_child, 0);
}

}  // namespace
}  // namespace prewarm::park
