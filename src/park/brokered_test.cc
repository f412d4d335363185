// SPDX-License-Identifier: MIT
//
// Launches for forked copies of a pool's owner: the copy claims and releases, the owner waits, and
// the copy learns how it ended from the table.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>

#include "os/process.h"
#include "park/testing.h"

namespace prewarm::park {
namespace {

using launch::Reason;
using launch::TestRequest;

// What a subshell reports about its launch. The pid comes first, as soon as it is known.
struct Report {
  bool released = false;
  bool taken = false;
  bool ended = false;
  int status = -1;
};

class BrokeredTest : public PoolFixture {
 protected:
  // A forked copy that claims `program` and launches it; `before_release` runs between the two.
  int serve(unsigned program, TestRequest& request, const os::Pipe& channel, bool kill_first) {
    const auto claimed = pool().claim(program, SlotKind::brokered, os::kBoundMs);
    const pid_t pid = claimed ? claimed->pid : -1;
    os::write_value(channel.write.get(), pid);
    if (!claimed) return 1;
    if (kill_first) {
      ::kill(pid, SIGKILL);
      os::has_ended(os::watch(pid));
    }
    Report report;
    report.released = pool().release(*claimed, request.get());
    report.taken = pool().wait_taken(*claimed);
    report.ended = pool().wait_brokered(*claimed, report.status);
    os::write_value(channel.write.get(), report);
    return 0;
  }

  struct Result {
    Report report;
    Ended told = Ended::not_ours;
    std::string text;
  };
  // One whole brokered launch, with the owner's part.
  Result launch_brokered(unsigned program, TestRequest request, bool kill_first = false) {
    Result result;
    const os::Pipe channel = os::make_pipe();
    os::Pipe output = os::make_pipe();
    const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    use_pipe(request, output, null);
    os::Child subshell([&] { return serve(program, request, channel, kill_first); });
    output.write.reset();
    pid_t pid = -1;
    EXPECT_TRUE(os::read_value(channel.read.get(), pid));
    result.told = reap(pid);
    EXPECT_TRUE(os::read_value(channel.read.get(), result.report));
    EXPECT_EQ(exit_of(subshell.wait()), "exit 0");
    // Of a request that was lost nobody knows yet when its descriptors are closed.
    if (result.report.taken) result.text = os::read_all(output.read.get());
    return result;
  }
};

TEST_F(BrokeredTest, TheSubshellLearnsTheStatus) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kShell, 2, program));
  for (const auto& [script, ending] :
       {std::pair{"echo hello; exit 0", "exit 0"}, std::pair{"echo hello; exit 42", "exit 42"},
        std::pair{"echo hello; kill -HUP $$", "signal 1"},
        std::pair{"echo hello; kill -KILL $$", "signal 9"}}) {
    const Result r = launch_brokered(program, TestRequest({"sh", "-c", script}));
    EXPECT_TRUE(r.report.released);
    EXPECT_TRUE(r.report.taken);
    EXPECT_TRUE(r.report.ended);
    EXPECT_EQ(exit_of(r.report.status), ending);
    EXPECT_EQ(r.told, Ended::brokered);
    EXPECT_EQ(r.text, "hello\n");
  }
}

TEST_F(BrokeredTest, ACloneThatDiesFirstHasLaunchedNothing) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kShell, 1, program));
  const Result r = launch_brokered(program, TestRequest({"sh", "-c", "echo never"}), true);
  EXPECT_FALSE(r.report.taken);
  EXPECT_FALSE(r.report.ended);
  EXPECT_EQ(r.told, Ended::parked);
  EXPECT_EQ(run(program, {"sh", "-c", "echo next"}).text, "next\n");
}

TEST_F(BrokeredTest, SlotsAreUsedAgain) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 2, program));
  for (unsigned i = 0; i < 4 * kSlotsPerProgram; ++i) {
    const Result r = launch_brokered(program, TestRequest({"printf", "%s", std::to_string(i)}));
    EXPECT_EQ(r.text, std::to_string(i));
    pool().refill(program);
  }
  EXPECT_EQ(run(program, {"printf", "direct"}).text, "direct");
}

// A subshell that is killed leaves a result that nobody fetches.
TEST_F(BrokeredTest, ResultsThatNobodyFetchesDoNotUseUpTheSlots) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (unsigned i = 0; i < 2 * kSlotsPerProgram; ++i) {
    const os::Pipe channel = os::make_pipe();
    os::Child subshell([&] {
      const auto claimed = pool().claim(program, SlotKind::brokered, 2000);
      const pid_t pid = claimed ? claimed->pid : -1;
      TestRequest request({"true"});
      request.descriptors = {{null.get(), 0}};
      if (claimed && pool().release(*claimed, request.get())) pool().wait_taken(*claimed);
      os::write_value(channel.write.get(), pid);
      return 0;
    });
    pid_t pid = -1;
    ASSERT_TRUE(os::read_value(channel.read.get(), pid));
    ASSERT_GT(pid, 0) << "no slot was left for launch " << i;
    EXPECT_EQ(exit_of(subshell.wait()), "exit 0");
    EXPECT_EQ(reap(pid), Ended::brokered);
    pool().refill(program);
  }
}

// A claim that its subshell took to its grave.
TEST_F(BrokeredTest, ClaimsThatNobodyReleasesDoNotUseUpTheSlots) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  for (unsigned i = 0; i < 2 * kSlotsPerProgram; ++i) {
    const os::Pipe channel = os::make_pipe();
    os::Child subshell([&] {
      const auto claimed = pool().claim(program, SlotKind::brokered, 2000);
      os::write_value(channel.write.get(), claimed ? claimed->pid : -1);
      return 0;
    });
    pid_t pid = -1;
    ASSERT_TRUE(os::read_value(channel.read.get(), pid));
    ASSERT_GT(pid, 0) << "no slot was left for claim " << i;
    EXPECT_EQ(exit_of(subshell.wait()), "exit 0");
    pool().refill(program);
    // It may be ended for that, or serve somebody else.
    const bool ended = os::has_ended(os::watch(pid), 200);
    EXPECT_EQ(ended ? reap(pid) : Ended::parked, Ended::parked);
  }
}

// Who claims a slot is written down just after it was claimed. In between, the name that stands
// there must not be that of somebody who is gone: the zygote would end what was claimed.
TEST_F(BrokeredTest, AnIdleCloneIsNobodys) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  for (unsigned i = 0; i < 3; ++i) {
    launch_brokered(program, TestRequest({"true"}));
    pool().refill(program);
    ASSERT_GE(wait_idle(program, 1), 1U);
    for (const Slot& slot : table(program).slots) {
      if (state_of(slot.state) != SlotState::idle) continue;
      EXPECT_EQ(slot.claimer.load(), 0);
    }
  }
}

TEST_F(BrokeredTest, ACopyCanClaimWhatWasTakenOverBeforeTheFork) {
  make_pool();
  const auto parked = pool().park(kTrue, parking_env(), 1, Isolation::clone);
  ASSERT_TRUE(parked.has_value());
  ASSERT_TRUE(pool().wait_parked(*parked, os::kBoundMs));
  ASSERT_EQ(wait_idle(*parked, 1), 1U);
  const auto reason_in_copy = [&] {
    const os::Pipe channel = os::make_pipe();
    os::Child copy([&] {
      os::write_value(channel.write.get(), claim_error(*parked, SlotKind::brokered));
      return 0;
    });
    Reason reason = Reason::count_;
    EXPECT_TRUE(os::read_value(channel.read.get(), reason));
    EXPECT_EQ(exit_of(copy.wait()), "exit 0");
    return reason;
  };
  EXPECT_EQ(reason_in_copy(), Reason::not_parked_yet);
  pool().take_over_parked();
  EXPECT_EQ(reason_in_copy(), Reason::none);
}

// All at once, and more than there are slots: no process is claimed by two, and each request for
// which there is a process is run once.
TEST_F(BrokeredTest, ManySubshellsAtOnceNeverShareAProcess) {
  constexpr unsigned kSubshells = 2 * kSlotsPerProgram;
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 4, program));
  const os::Pipe start = os::make_pipe();
  const os::Pipe claims = os::make_pipe();
  os::Pipe output = os::make_pipe();
  std::vector<std::unique_ptr<os::Child>> subshells;
  for (unsigned i = 0; i < kSubshells; ++i) {
    subshells.push_back(std::make_unique<os::Child>([&] {
      os::wait_readable(start.read.get());
      const auto claimed = pool().claim(program, SlotKind::brokered, os::kBoundMs);
      const pid_t pid = claimed ? claimed->pid : -1;
      os::write_value(claims.write.get(), pid);
      if (!claimed) return claimed.error() == Reason::pool_busy ? 0 : 1;
      TestRequest request({"printf", "%s\n", std::to_string(pid)});
      request.descriptors = {{output.write.get(), 1}};
      int status = -1;
      if (!pool().release(*claimed, request.get()) || !pool().wait_taken(*claimed)) return 2;
      pool().refill(program);
      return pool().wait_brokered(*claimed, status) && status == 0 ? 0 : 3;
    }));
  }
  os::write_value(start.write.get(), 'g');
  output.write.reset();
  std::set<std::string> launched;
  for (unsigned i = 0; i < kSubshells; ++i) {
    pid_t pid = -1;
    ASSERT_TRUE(os::read_value(claims.read.get(), pid));
    if (pid < 0) continue;
    EXPECT_TRUE(launched.insert(std::to_string(pid)).second) << "claimed twice";
    EXPECT_EQ(reap(pid), Ended::brokered);
    pool().refill(program);
  }
  for (auto& subshell : subshells) EXPECT_EQ(exit_of(subshell->wait()), "exit 0");
  EXPECT_GE(launched.size(), 4U);
  const std::string text = os::read_all(output.read.get());
  std::size_t lines = 0;
  for (std::size_t at = 0; at < text.size(); ++lines) {
    const std::size_t end = text.find('\n', at);
    EXPECT_TRUE(launched.contains(text.substr(at, end - at)));
    at = end + 1;
  }
  EXPECT_EQ(lines, launched.size()) << "something was run twice, or not at all";
}

// The owner is killed, and stays a zombie for a while; the program goes on.
TEST_F(BrokeredTest, ASubshellLearnsTheStatusEvenWithoutTheOwner) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const os::Pipe report = os::make_pipe();
  const os::Pipe input = os::make_pipe();
  os::Child owner([&] {
    unsigned program = 0;
    park(kCat, 1, program);
    const pid_t subshell = ::fork();
    if (subshell == 0) {
      const auto claimed = pool().claim(program, SlotKind::brokered, os::kBoundMs);
      TestRequest request({"cat"});
      const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
      request.descriptors = {{input.read.get(), 0}, {null.get(), 1}};
      int status = -1;
      if (claimed && pool().release(*claimed, request.get()) && pool().wait_taken(*claimed)) {
        ::kill(::getppid(), SIGKILL);
        os::write_value(report.write.get(), claimed->pid);
        if (!pool().wait_brokered(*claimed, status)) status = -2;
      }
      os::write_value(report.write.get(), status);
      ::_exit(0);
    }
    os::wait_for(subshell);
    return 0;
  });
  pid_t cat = -1;
  int status = -1;
  ASSERT_TRUE(os::read_value(report.read.get(), cat));
  ASSERT_TRUE(os::has_ended(os::watch(owner.pid())));
  ::kill(cat, SIGTERM);
  EXPECT_EQ(exit_of(os::wait_for(cat)), "signal 15");
  ASSERT_TRUE(os::read_value(report.read.get(), status));
  // Before Linux 6.15 nobody knows.
  EXPECT_TRUE(exit_of(status) == "signal 15" || exit_of(status) == "signal 9") << status;
  EXPECT_EQ(exit_of(owner.wait()), "signal 9");
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  while (!os::is_childless()) ::waitpid(-1, nullptr, 0);
}

}  // namespace
}  // namespace prewarm::park
