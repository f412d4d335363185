// SPDX-License-Identifier: MIT
#include "prewarm/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "cold/left_children.h"
#include "os/process.h"
#include "os/testing.h"

namespace prewarm {
namespace {

using namespace std::chrono_literals;

// A child that runs `function`, and exits with what that returns.
template <class Function>
Process start(Function function) {
  const pid_t pid = os::fork_flushed();
  if (pid == 0) ::_exit(function());
  return Process(pid);
}

int wait_for_signal() {
  for (;;) ::pause();
}

Exit wait(Process& process) {
  const auto ended = process.wait();
  EXPECT_TRUE(ended) << ended.error().message();
  return ended.value_or(Exit{ExitStatus(-1), {}, false});
}

using OwnedProcessTest = os::LeavesNothing;

TEST(ExitStatus, TellsExitsFromSignals) {
  const ExitStatus three(W_EXITCODE(3, 0));
  EXPECT_EQ(three.code(), 3);
  EXPECT_EQ(three.signal(), std::nullopt);
  EXPECT_FALSE(three.success());
  EXPECT_EQ(three.message(), "exited with 3");

  const ExitStatus killed(SIGSEGV | WCOREFLAG);
  EXPECT_EQ(killed.code(), std::nullopt);
  EXPECT_EQ(killed.signal(), SIGSEGV);
  EXPECT_TRUE(killed.core_dumped());
  EXPECT_EQ(killed.message(), "killed by SIGSEGV (core dumped)");

  EXPECT_TRUE(ExitStatus(0).success());
  EXPECT_FALSE(ExitStatus(0).core_dumped());
  EXPECT_EQ(ExitStatus(40).message(), "killed by signal 40");
}

TEST_F(OwnedProcessTest, WaitTellsTheEndAgainAndAgain) {
  Process process = start([] { return 7; });
  EXPECT_EQ(wait(process).status.code(), 7);
  EXPECT_TRUE(os::is_childless());
  EXPECT_EQ(wait(process).status.code(), 7);
  EXPECT_EQ(process.wait_for(0ms).value()->status.code(), 7);
}

TEST_F(OwnedProcessTest, WaitTellsTheUsage) {
  Process process = start([] {
    std::string much(std::size_t{8} << 20, 'x');
    return much[much.size() / 2] == 'x' ? 0 : 1;
  });
  const Exit ended = wait(process);
  EXPECT_TRUE(ended.success());
  EXPECT_GT(ended.usage.ru_maxrss, 8 << 10);
  EXPECT_EQ(wait(process).usage.ru_maxrss, ended.usage.ru_maxrss);
}

TEST_F(OwnedProcessTest, WaitTellsOfACoreAsTheKernelDoes) {
  const os::TempDirectory directory;
  Process process = start([&] {
    const rlimit large{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_CORE, &large);
    if (::chdir(directory.path().c_str()) == 0) ::raise(SIGQUIT);
    return 1;
  });
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED | WNOWAIT), 0);
  const Exit ended = wait(process);
  EXPECT_EQ(ended.status.signal(), SIGQUIT);
  EXPECT_EQ(ended.status.core_dumped(), info.si_code == CLD_DUMPED);
}

TEST_F(OwnedProcessTest, WaitForGivesUpAndCanBeRepeated) {
  Process process = start(wait_for_signal);
  EXPECT_EQ(process.wait_for(0ms).value().has_value(), false);
  EXPECT_EQ(process.wait_for(1ms).value().has_value(), false);
  ASSERT_TRUE(process.kill(SIGTERM));
  const auto ended = process.wait_for(std::chrono::milliseconds(os::kBoundMs));
  ASSERT_TRUE(ended && *ended);
  EXPECT_EQ((*ended)->status.signal(), SIGTERM);
}

TEST_F(OwnedProcessTest, ThePidfdIsReadableWhenItHasEnded) {
  Process process = start(wait_for_signal);
  EXPECT_FALSE(os::wait_readable(process.pidfd(), 0));
  ASSERT_TRUE(process.kill());
  EXPECT_TRUE(os::wait_readable(process.pidfd()));
  EXPECT_EQ(wait(process).status.signal(), SIGKILL);
}

TEST_F(OwnedProcessTest, KillAfterTheEndReachesNobody) {
  Process process = start([] { return 0; });
  wait(process);
  const auto sent = process.kill(SIGTERM);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ESRCH);
}

TEST_F(OwnedProcessTest, KillWhileAnotherThreadWaits) {
  Process process = start(wait_for_signal);
  std::thread killer([&] { EXPECT_TRUE(process.kill(SIGKILL)); });
  EXPECT_EQ(wait(process).status.signal(), SIGKILL);
  killer.join();
}

TEST_F(OwnedProcessTest, KillGroupReachesGrandchildren) {
  os::Pipe pipe = os::make_pipe();
  Process process = start([&] {
    ::setpgid(0, 0);
    if (::fork() == 0) wait_for_signal();
    os::write_value(pipe.write.get(), 1);
    return wait_for_signal();
  });
  pipe.write.reset();
  int ready = 0;
  ASSERT_TRUE(os::read_value(pipe.read.get(), ready));
  process.set_kill_group(true);
  ASSERT_TRUE(process.kill());
  EXPECT_EQ(wait(process).status.signal(), SIGKILL);
  // The end of the pipe: nobody is left who holds it.
  char rest = 0;
  ASSERT_TRUE(os::wait_readable(pipe.read.get()));
  EXPECT_EQ(::read(pipe.read.get(), &rest, 1), 0);
  const auto late = process.kill();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ESRCH);
}

TEST_F(OwnedProcessTest, NumbersThatMeanOtherProcessesAreRefused) {
  for (const pid_t pid : {-5, -1, 0, 1}) {
    Process process(pid);
    process.set_kill_group(true);
    const auto sent = process.kill(0);  // which would only ask
    ASSERT_FALSE(sent) << pid;
    EXPECT_EQ(sent.error().code, ESRCH);
    EXPECT_FALSE(process.wait()) << pid;
  }
}

TEST_F(OwnedProcessTest, NoOtherChildIsWaitedFor) {
  os::Child other([] { return 5; });
  ASSERT_TRUE(os::has_ended(os::watch(other.pid())));
  Process process = start([] { return 6; });
  EXPECT_EQ(wait(process).status.code(), 6);
  EXPECT_EQ(WEXITSTATUS(other.wait()), 5);
}

TEST_F(OwnedProcessTest, ASignalHandlerDoesNotInterruptWaiting) {
  struct sigaction action{};
  struct sigaction before{};
  action.sa_handler = [](int) {};  // without SA_RESTART
  ::sigaction(SIGUSR1, &action, &before);
  const pthread_t waiter = ::pthread_self();
  os::Pipe pipe = os::make_pipe();
  Process process = start([&] {
    int go = 0;
    pipe.write.reset();
    return os::read_value(pipe.read.get(), go) ? 0 : 1;
  });
  std::thread sender([&] {
    for (int i = 0; i < 50; ++i) ::pthread_kill(waiter, SIGUSR1);
    os::write_value(pipe.write.get(), 1);
  });
  EXPECT_TRUE(wait(process).success());
  sender.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_F(OwnedProcessTest, SomebodyElseHasWaitedForIt) {
  Process process = start([] { return 9; });
  EXPECT_EQ(WEXITSTATUS(os::wait_for(process.pid())), 9);
  const auto ended = process.wait();
  // Newer kernels tell it all the same.
  if (ended) {
    EXPECT_EQ(ended->status.code(), 9);
  } else {
    EXPECT_EQ(ended.error().code, ECHILD);
  }
}

TEST_F(OwnedProcessTest, DroppedItRunsOnAndIsReapedLater) {
  os::Pipe pipe = os::make_pipe();
  Fd watched;
  {
    const Process process = start([&] {
      int go = 0;
      pipe.write.reset();
      return os::read_value(pipe.read.get(), go) ? 0 : 1;
    });
    watched = os::watch(process.pid());
  }
  EXPECT_FALSE(os::has_ended(watched, 0));
  os::write_value(pipe.write.get(), 1);
  ASSERT_TRUE(os::has_ended(watched));
  EXPECT_FALSE(os::is_childless());
  cold::reap_left_children();
  EXPECT_TRUE(os::is_childless());
}

TEST_F(OwnedProcessTest, DroppedItIsKilledIfThatWasWanted) {
  {
    Process process = start(wait_for_signal);
    process.set_kill_on_drop(true);
  }
  EXPECT_TRUE(os::is_childless());
}

TEST_F(OwnedProcessTest, MovingLeavesNothingToDrop) {
  Process first = start(wait_for_signal);
  first.set_kill_on_drop(true);
  Process second(std::move(first));
  EXPECT_EQ(second.wait_for(0ms).value().has_value(), false);
  second = start([] { return 4; });  // the first is killed by that
  EXPECT_EQ(wait(second).status.code(), 4);
  EXPECT_TRUE(os::is_childless());
}

TEST_F(OwnedProcessTest, DetachedItIsNobodys) {
  Process process = start([] { return 0; });
  const Fd watched = os::watch(process.pid());
  process.detach();
  EXPECT_FALSE(process.kill());
  ASSERT_TRUE(os::has_ended(watched));
  cold::reap_left_children();
}

}  // namespace
}  // namespace prewarm
