// SPDX-License-Identifier: MIT
//
// What the agent notes of code that runs before main. The program that is parked here is this test
// program itself: it has a constructor that does what its environment asks for, and the disabled
// test below is what a released one runs.
//
// Not under the address or thread sanitizer: their runtime has to be the first library of a
// program, and the agent is; so a sanitized program can't be parked at all.
#include <gtest/gtest.h>
#include <pthread.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "park/testing.h"

namespace prewarm::park {
namespace {

using launch::Reason;
using launch::TestRequest;

// ---- Before main -------------------------------------------------------------------------------

constexpr char kConstructor[] = "PREWARM_TEST_CONSTRUCTOR";
constexpr char kSeen[] = "PREWARM_TEST_SEEN";
constexpr int kReportFd = 9;

struct BeforeMain {
  int prepared = 0;
  int in_parent = 0;
  int in_child = 0;
  bool saw_preload = false;
  bool saw_orders = false;
  char seen[32] = "";
};
BeforeMain before_main;

void* sleep_for_ever(void*) {
  for (;;) ::pause();
}

void register_fork_handlers(int count) {
  for (int i = 0; i < count; ++i) {
    ::pthread_atfork([] { ++before_main.prepared; }, [] { ++before_main.in_parent; },
                     [] { ++before_main.in_child; });
  }
}

__attribute__((constructor)) void run_before_main() {
  const char* text = std::getenv(kConstructor);
  if (text == nullptr) return;
  const std::string_view wanted = text;
  if (wanted == "look for the agent") {
    before_main.saw_preload = std::getenv("LD_PRELOAD") != nullptr;
    before_main.saw_orders = std::getenv("PREWARM_PARK") != nullptr;
  }
  if (wanted == "look") {
    if (const char* seen = ::secure_getenv(kSeen)) {
      std::strncpy(before_main.seen, seen, sizeof before_main.seen - 1);
    }
  }
  if (wanted == "open") ::open("/dev/null", O_RDONLY);
  if (wanted == "open high") ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), 500);
  if (wanted == "exit") ::_exit(3);
  if (wanted == "handlers") register_fork_handlers(2);
  if (wanted == "many handlers") register_fork_handlers(100);
  if (wanted == "thread") {
    pthread_t thread;
    ::pthread_create(&thread, nullptr, sleep_for_ever, nullptr);
  }
  if (wanted == "many variables") {
    for (int i = 0; i < 1000; ++i) (void)std::getenv(("VARIABLE_" + std::to_string(i)).c_str());
  }
}

// ---- After the release -------------------------------------------------------------------------

TEST(ParkedProgram, DISABLED_Reports) {
  if (!os::is_open(kReportFd)) GTEST_SKIP() << "run by the tests below only";
  EXPECT_TRUE(os::write_value(kReportFd, before_main));
}

// ---- Tests -------------------------------------------------------------------------------------

class AgentRecordTest : public PoolFixture {
 protected:
  void SetUp() override {
    PoolFixture::SetUp();
    if (PREWARM_SANITIZED != 0) GTEST_SKIP() << "a sanitized program can't be parked";
    own_path_ = std::filesystem::read_symlink("/proc/self/exe");
    PoolOptions with_own = options();
    with_own.more_directories = own_path_.parent_path();
    make_pool(with_own);
  }

  std::string own_path() const { return own_path_; }

  void set_constructor(const std::string& wanted, std::vector<std::string> more = {}) {
    more.push_back(std::string(kConstructor) + "=" + wanted);
    set_parking_env(std::move(more));
  }

  // Why this program is not parked, if its constructor does what `wanted` says.
  Reason refusal(const std::string& wanted) {
    set_constructor(wanted);
    const auto parked = pool().park(own_path().c_str(), parking_env(), 1, Isolation::clone);
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
    TestRequest request({own_path(), "--gtest_filter=ParkedProgram.DISABLED_Reports",
                         "--gtest_also_run_disabled_tests"});
    request.descriptors = {
        {null.get(), 0}, {null.get(), 1}, {null.get(), 2}, {channel.write.get(), kReportFd}};
    EXPECT_EQ(exit_of(launch(claim(program), request)), "exit 0");
    EXPECT_TRUE(os::read_value(channel.read.get(), reported));
    return reported;
  }

 private:
  std::filesystem::path own_path_;
};

TEST_F(AgentRecordTest, AVariableThatAConstructorReadMustKeepItsValue) {
  unsigned program = 0;
  set_constructor("look", {std::string(kSeen) + "=old"});
  ASSERT_NO_FATAL_FAILURE(park(own_path(), 1, program));
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  set_constructor("look", {std::string(kSeen) + "=old", "OTHER=1"});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  for (const char* value : {"=new", "=ol", "=older", "="}) {
    set_constructor("look", {kSeen + std::string(value)});
    EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::variable_changed) << value;
  }
  set_constructor("look");
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::variable_changed) << "unset";
  set_constructor("look", {std::string(kSeen) + "=old"});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  EXPECT_STREQ(report(program).seen, "old");
}

TEST_F(AgentRecordTest, AVariableThatAConstructorMissedMustStayUnset) {
  unsigned program = 0;
  set_constructor("look");
  ASSERT_NO_FATAL_FAILURE(park(own_path(), 1, program));
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::none);
  set_constructor("look", {std::string(kSeen) + "="});
  EXPECT_EQ(pool().check_fresh(program, parking_env()), Reason::variable_changed);
}

TEST_F(AgentRecordTest, ConstructorsDoNotSeeWhatIsThereForTheAgent) {
  unsigned program = 0;
  set_constructor("look for the agent");
  ASSERT_NO_FATAL_FAILURE(park(own_path(), 1, program));
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

TEST_F(AgentRecordTest, AProgramThatEndsBeforeItsMainHasDied) {
  EXPECT_EQ(refusal("exit"), Reason::died);
}

TEST_F(AgentRecordTest, ForkHandlersRunAsInAFork) {
  unsigned program = 0;
  set_constructor("handlers");
  ASSERT_NO_FATAL_FAILURE(park(own_path(), 1, program));
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
  ASSERT_NO_FATAL_FAILURE(park(own_path(), 1, program));
  EXPECT_EQ(table(program).clonable.load(), 0U);
  const BeforeMain seen = report(program);
  EXPECT_EQ(seen.in_child, 0);
}

}  // namespace
}  // namespace prewarm::park
