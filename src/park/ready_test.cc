// SPDX-License-Identifier: MIT
//
// Programs that are held where they say that they are ready (testing/ready.c).
#include <gmock/gmock.h>
#include <sched.h>

#include <algorithm>
#include <sstream>

#include "park/testing.h"

namespace prewarm::park {
namespace {

using launch::Reason;
using ::testing::Contains;
using ::testing::Not;

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// What stands behind `name` in the one line that begins with it.
std::string value_of(const Lines& lines, const std::string& name) {
  for (const std::string& line : lines) {
    if (line.starts_with(name + ": ")) return line.substr(name.size() + 2);
  }
  return "missing";
}

class ReadyTest : public PoolFixture {
 protected:
  // Starts the test program; `before` is what it does until it is ready.
  unsigned start(std::vector<std::string> before, unsigned want = 1) {
    if (!has_pool()) make_pool();
    argv_ = std::move(before);
    argv_.insert(argv_.begin(), "ready");
    pointers_ = launch::pointers_to(argv_);
    const auto parked =
        pool().park_ready(PREWARM_TEST_READY, nullptr, pointers_.data(), parking_env(), want);
    EXPECT_TRUE(parked.has_value()) << launch::reason_name(parked.error());
    return parked.value_or(0);
  }

  unsigned hold(std::vector<std::string> before = {}, unsigned want = 1) {
    const unsigned program = start(std::move(before), want);
    EXPECT_TRUE(pool().wait_parked(program, os::kBoundMs));
    EXPECT_EQ(state_of_program(program), ProgramState::parked)
        << launch::reason_name(static_cast<Reason>(table(program).reason.load()));
    pool().take_over_parked();
    EXPECT_EQ(wait_idle(program, want), want);
    return program;
  }

  // Why it isn't held in the end.
  Reason refusal(std::vector<std::string> before) {
    const unsigned program = start(std::move(before));
    reap(table(program).pid.load());
    EXPECT_EQ(state_of_program(program), ProgramState::refused);
    return claim_error(program);
  }

  Lines observe(unsigned program, launch::TestRequest request) {
    const Outcome outcome = launch(claim(program), request);
    EXPECT_EQ(exit_of(outcome), "exit " + std::to_string(request.argv.size()));
    return lines_of(outcome.text);
  }

 private:
  std::vector<std::string> argv_;
  std::vector<char*> pointers_;
};

launch::TestRequest usual_request() {
  launch::TestRequest request({"called", "one", "", "three"});
  request.env = {"A=1", "B="};
  return request;
}

TEST_F(ReadyTest, GoesOnWithTheInvocation) {
  const unsigned program = hold();
  auto request = usual_request();
  request.umask = 027;
  request.cwd = os::Fd(::open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const Lines seen = observe(program, std::move(request));
  const Lines head{"held: 1", "first: 0",   "arg: called", "arg: one",
                   "arg: ",   "arg: three", "env: A=1",    "env: B="};
  ASSERT_GE(seen.size(), head.size());
  EXPECT_EQ(Lines(seen.begin(), seen.begin() + static_cast<long>(head.size())), head);
  EXPECT_EQ(value_of(seen, "name"), "prewarm_test_re");
  EXPECT_EQ(value_of(seen, "called"), "called");
  EXPECT_EQ(value_of(seen, "directory"), "/usr");
  EXPECT_EQ(value_of(seen, "umask"), "27");
  EXPECT_EQ(value_of(seen, "cmdline"), "called one  three ");
  EXPECT_EQ(value_of(seen, "environ"), "A=1 B= ");
  EXPECT_EQ(value_of(seen, "again"), "0");
  EXPECT_THAT(seen, Contains("open: 2"));
  EXPECT_THAT(seen, Not(Contains("open: 3")));
  EXPECT_THAT(seen, Not(Contains("open: 63")));
}

TEST_F(ReadyTest, IsToldWhereItsArgumentsBegin) {
  auto request = usual_request();
  request.first_argument = 2;
  EXPECT_EQ(value_of(observe(hold(), std::move(request)), "first"), "2");
}

TEST_F(ReadyTest, TakesAnInvocationOfAnySize) {
  const unsigned program = hold();
  auto request = usual_request();
  for (int i = 0; i < 100; ++i) request.argv.emplace_back(1000, 'x');
  const Lines seen = observe(program, std::move(request));
  EXPECT_EQ(std::ranges::count(seen, "arg: " + std::string(1000, 'x')), 100);
  EXPECT_THAT(seen, Contains("env: A=1"));
}

TEST_F(ReadyTest, IsAnotherProcessEachTime) {
  const unsigned program = hold({"nothing"}, 2);
  const Lines first = observe(program, usual_request());
  const Lines second = observe(program, usual_request());
  EXPECT_NE(value_of(first, "canary"), value_of(second, "canary"));
  EXPECT_NE(value_of(first, "seed"), value_of(second, "seed"));
  EXPECT_EQ(value_of(first, "clones"), "1");
  EXPECT_EQ(value_of(first, "forks"), "1");
}

TEST_F(ReadyTest, HasTheSignalStateOfTheRequest) {
  const unsigned program = hold();
  auto request = usual_request();
  request.signal_mask = std::uint64_t{1} << (SIGUSR1 - 1);
  request.signal_ignored = std::uint64_t{1} << (SIGINT - 1);
  const Lines seen = observe(program, std::move(request));
  EXPECT_EQ(value_of(seen, "blocked"), std::to_string(SIGUSR1));
  EXPECT_EQ(value_of(seen, "ignored"), std::to_string(SIGINT));
}

TEST_F(ReadyTest, KeepsWhatItHasSetForSignals) {
  const unsigned program = hold({"signals"});
  auto request = usual_request();
  request.signal_ignored = std::uint64_t{1} << (SIGTERM - 1);
  const Lines seen = observe(program, std::move(request));
  EXPECT_EQ(value_of(seen, "ignored"), std::to_string(SIGHUP));
  EXPECT_THAT(seen, Not(Contains("ignored: " + std::to_string(SIGTERM))));
  EXPECT_EQ(value_of(seen, "blocked"), "missing");
}

TEST_F(ReadyTest, MayStartProgramsAndLoadALocale) {
  set_parking_env({"PATH=/usr/bin:/bin", "LANG=C.UTF-8"});
  EXPECT_EQ(value_of(observe(hold({"child"}), usual_request()), "held"), "1");
  EXPECT_EQ(value_of(observe(hold({"locale"}), usual_request()), "held"), "1");
}

TEST_F(ReadyTest, IsFoundByItsArguments) {
  const unsigned program = hold({"nothing"});
  char ready[] = "ready";
  char nothing[] = "nothing";
  char* const same[] = {ready, nothing, nullptr};
  char* const fewer[] = {ready, nullptr};
  char* const more[] = {ready, nothing, nothing, nullptr};
  EXPECT_EQ(pool().find_ready(PREWARM_TEST_READY, same), static_cast<int>(program));
  EXPECT_EQ(pool().find_ready(PREWARM_TEST_READY, fewer), -1);
  EXPECT_EQ(pool().find_ready(PREWARM_TEST_READY, more), -1);
  EXPECT_EQ(pool().find(PREWARM_TEST_READY), -1);
}

TEST_F(ReadyTest, IsRefusedForWhatCopiesCantHaveInCommon) {
  EXPECT_EQ(refusal({"thread"}), Reason::has_threads);
  EXPECT_EQ(refusal({"open"}), Reason::opened_descriptors);
  EXPECT_EQ(refusal({"open high"}), Reason::opened_descriptors);
}

TEST_F(ReadyTest, IsRefusedIfItEndsBefore) { EXPECT_EQ(refusal({"end"}), Reason::no_ready_point); }

TEST_F(ReadyTest, ThatCrashesIsGone) {
  const unsigned program = start({"crash"});
  reap(table(program).pid.load());
  EXPECT_EQ(claim_error(program), Reason::died);
}

TEST_F(ReadyTest, DependsOnTheVariablesThatItHasSeen) {
  set_parking_env({"SEEN=1", "DEPENDS=2", "SHELL=3"});
  const unsigned program = hold({"look"});
  const auto check = [&](std::vector<std::string> env) {
    auto row = launch::pointers_to(env);
    return pool().check_environment(program, row.data());
  };
  EXPECT_EQ(check({"SEEN=1", "DEPENDS=2"}), Reason::none);
  EXPECT_EQ(check({"SEEN=1", "DEPENDS=2", "SHELL=other", "MORE=1"}), Reason::none);
  EXPECT_EQ(check({"SEEN=2", "DEPENDS=2"}), Reason::variable_changed);
  EXPECT_EQ(check({"SEEN=1"}), Reason::variable_changed);
}

TEST_F(ReadyTest, DependsOnVariablesAsTheyWereWhenItBegan) {
  set_parking_env({"DEPENDS=2"});
  const unsigned program = hold({"set"});
  std::vector<std::string> env{"DEPENDS=2"};
  auto row = launch::pointers_to(env);
  EXPECT_EQ(pool().check_environment(program, row.data()), Reason::none);
}

TEST_F(ReadyTest, DependsOnTheFilesThatItNames) {
  const os::TempDirectory directory;
  const std::string file = directory / "script";
  os::write_file(file, "1");
  os::FileIdentity written;
  ASSERT_TRUE(identify_file(file.c_str(), written));
  // What has changed since parking began is not trusted, and the clock goes in ticks.
  while (os::now_ns(CLOCK_REALTIME_COARSE) <= written.changed_ns) ::sched_yield();
  const unsigned program = hold({"nothing", file});
  EXPECT_EQ(pool().check_files(program), Reason::none);
  os::write_file(file, "22");
  EXPECT_EQ(pool().check_files(program), Reason::file_changed);
}

TEST_F(ReadyTest, ADetachedLaunchLeavesItsPlace) {
  const unsigned program = hold();
  const Claim claimed = claim(program);
  EXPECT_FALSE(pool().detach(claimed));
  auto request = usual_request();
  os::Pipe output = os::make_pipe();
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  use_pipe(request, output, null);
  ASSERT_TRUE(pool().release(claimed, request.get()));
  ASSERT_TRUE(pool().wait_taken(claimed));
  EXPECT_TRUE(pool().detach(claimed));
  output.write.reset();
  EXPECT_THAT(lines_of(os::read_all(output.read.get())), Contains("held: 1"));
  EXPECT_EQ(reap(claimed.pid), Ended::not_ours);
  EXPECT_EQ(value_of(observe(program, usual_request()), "held"), "1");
}

}  // namespace
}  // namespace prewarm::park
