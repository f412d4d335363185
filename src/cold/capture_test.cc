// SPDX-License-Identifier: MIT
//
// Commands that talk, take time, and are ended.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "cold/testing/command.h"
#include "cold/testing/masked.h"
#include "os/process.h"
#include "os/testing.h"
#include "prewarm/command.h"

namespace prewarm {
namespace {

using namespace std::chrono_literals;

class CaptureTest : public CommandFixture {};

// ---- Much input and output ----------------------------------------------------------------------

TEST_F(CaptureTest, MuchInBothDirections) {
  std::string input(std::size_t{5} << 20, '\0');
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<char>(i * 31 >> 7);
  const auto output = Command("cat").capture({.input = input});
  ASSERT_TRUE(output && output->success());
  EXPECT_TRUE(output->out == input);
}

TEST_F(CaptureTest, BothStreamsAreReadBeforeInputIsTaken) {
  const std::string input(std::size_t{3} << 20, 'i');
  const auto output = shell("head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; wc -c >&2")
                          .capture({.input = input});
  ASSERT_TRUE(output && output->success());
  EXPECT_EQ(output->out.size(), 3000000u);
  EXPECT_EQ(output->err.size(), 3000000u + std::string_view("3145728\n").size());
}

TEST_F(CaptureTest, InputThatNobodyReadsIsNoFault) {
  const auto output = Command("true").capture({.input = std::string(std::size_t{1} << 20, 'i')});
  ASSERT_TRUE(output);
  EXPECT_TRUE(output->success());
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
}

TEST_F(CaptureTest, WhatIsTooMuchIsThrownAway) {
  const auto output =
      shell("head -c 1000000 /dev/zero; echo -n abcd >&2; exit 3").capture({.max_bytes = 4});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->status.code(), 3);
  EXPECT_TRUE(output->truncated);
  EXPECT_EQ(output->out, std::string(4, '\0'));
  EXPECT_EQ(output->err, "abcd");  // just what there is room for
}

TEST_F(CaptureTest, JustEnoughIsNotTooMuch) {
  const auto output = shell("printf abcd").capture({.max_bytes = 4, .kill_when_full = true});
  ASSERT_TRUE(output && output->success());
  EXPECT_FALSE(output->truncated);
  EXPECT_EQ(output->out, "abcd");
}

TEST_F(CaptureTest, WhatIsTooMuchEndsTheProgram) {
  const auto output = Command("yes").capture({.max_bytes = 100001, .kill_when_full = true});
  ASSERT_TRUE(output);
  EXPECT_TRUE(output->truncated);
  EXPECT_FALSE(output->timed_out);
  EXPECT_EQ(output->status.signal(), SIGKILL);
  EXPECT_EQ(output->out.size(), 100001u);
}

TEST_F(CaptureTest, InputWithoutAPipeIsRefused) {
  Command command("cat");
  command.in(Stdio::null());
  const auto output = command.capture({.input = "text"});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().message(), "capture with input in: Invalid argument");  // not started
  EXPECT_EQ(output.error().code, EINVAL);
}

// ---- Time, killing, dropping --------------------------------------------------------------------

TEST_F(CaptureTest, RunIsEndedWhenItsTimeIsOver) {
  const auto ended = Command("sleep").arg("1000").timeout(20ms).run();
  ASSERT_TRUE(ended);
  EXPECT_TRUE(ended->timed_out);
  EXPECT_EQ(ended->status.signal(), SIGKILL);
  EXPECT_FALSE(ended->success());
}

TEST_F(CaptureTest, RunInTime) {
  const auto ended = shell("exit 2").timeout(std::chrono::milliseconds(os::kBoundMs)).run();
  ASSERT_TRUE(ended);
  EXPECT_FALSE(ended->timed_out);
  EXPECT_EQ(ended->status.code(), 2);
}

TEST_F(CaptureTest, CaptureIsEndedWhenItsTimeIsOver) {
  // No time at all, but for what it has written already.
  Command command = shell("echo early; read line; echo late");
  command.in(Stdio::pipe()).out(Stdio::pipe());
  auto process = command.spawn();
  ASSERT_TRUE(process);
  const Fd input = std::move(process->in());  // stays open: it waits for a line
  ASSERT_TRUE(os::wait_readable(process->out().get()));
  const auto output = process->capture({.timeout = 0ms});
  ASSERT_TRUE(output) << output.error().message();
  EXPECT_TRUE(output->timed_out);
  EXPECT_EQ(output->out, "early\n");
  EXPECT_EQ(output->status.signal(), SIGKILL);
}

TEST_F(CaptureTest, TimeEndsWaitingForAGrandchildThatHoldsTheOutput) {
  const auto output = shell("sleep 1000 & echo $!").timeout(200ms).capture();
  ASSERT_TRUE(output);
  EXPECT_TRUE(output->timed_out);
  const pid_t left = std::atoi(output->out.c_str());
  ASSERT_GT(left, 0);
  ::kill(left, SIGKILL);
}

TEST_F(CaptureTest, KillGroupEndsGrandchildrenToo) {
  Command command = shell("sleep 1000 & echo $!; wait");
  command.out(Stdio::pipe()).kill_group();
  auto process = command.spawn();
  ASSERT_TRUE(process);
  ASSERT_TRUE(os::wait_readable(process->out().get()));
  ASSERT_TRUE(process->kill());
  // To its end: nobody holds it any more.
  char text[64];
  ssize_t got = 1;
  while (got > 0 && os::wait_readable(process->out().get())) {
    got = ::read(process->out().get(), text, sizeof text);
  }
  EXPECT_EQ(got, 0);
  EXPECT_EQ(process->wait().value().status.signal(), SIGKILL);
}

TEST_F(CaptureTest, KillOnDrop) {
  {
    ASSERT_TRUE(Command("sleep").arg("1000").kill_on_drop().spawn());
  }
  EXPECT_TRUE(os::is_childless());
}

TEST_F(CaptureTest, StartingReapsWhatWasDropped) {
  Fd dropped;
  {
    const auto process = Command("true").spawn();
    ASSERT_TRUE(process);
    dropped = os::watch(process->pid());
  }
  ASSERT_TRUE(os::has_ended(dropped));
  EXPECT_TRUE(Command("true").run().value().success());
  EXPECT_TRUE(os::is_childless());
}

TEST_F(CaptureTest, RunTakesNoPipes) {
  const auto ended = Command("true").out(Stdio::pipe()).run();
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, EINVAL);
}

TEST_F(CaptureTest, ACommandCanBeStartedAgainAndCopied) {
  Command command = shell("echo $1");
  command.args({"sh", "first"});
  const Command copy(command);
  command.arg("ignored").clear_env();
  EXPECT_EQ(output_of(command), "first\n");
  EXPECT_EQ(output_of(command), "first\n");
  EXPECT_EQ(output_of(copy), "first\n");
}

// ---- Older kernels
// ---------------------------------------------------------------------------------

// In a copy of this process in which system calls fail as if the kernel didn't know them.
template <class Function>
int without_calls(std::initializer_list<int> calls, Function function) {
  os::Child child([&] {
    cold::mask_system_calls(calls);
    return function();
  });
  return WEXITSTATUS(child.wait());
}

TEST_F(CaptureTest, WithoutPidfdsTheSameWorksByNumbers) {
  EXPECT_EQ(without_calls({SYS_pidfd_open, SYS_pidfd_send_signal},
                          [] {
                            const pid_t pid = ::fork();
                            if (pid == 0) {
                              for (;;) ::pause();
                            }
                            Process process(pid);
                            if (process.pidfd() >= 0) return 1;
                            const auto running = process.wait_for(3ms);
                            if (!running || *running) return 2;
                            if (!process.kill(SIGTERM)) return 3;
                            const auto ended =
                                process.wait_for(std::chrono::milliseconds(os::kBoundMs));
                            if (!ended || !*ended || (*ended)->status.signal() != SIGTERM) return 4;
                            const auto late = process.kill();
                            return !late && late.error().code == ESRCH ? 0 : 5;
                          }),
            0);
}

TEST_F(CaptureTest, WithoutNewerCallsCommandsWork) {
  const auto calls = {SYS_clone3, SYS_close_range, SYS_pidfd_open, SYS_pidfd_send_signal};
  EXPECT_EQ(without_calls(calls,
                          [] {
                            const Fd left_open(::open("/dev/null", O_RDONLY));
                            const auto list = Command("ls").arg("/proc/self/fd").capture();
                            if (!list || list->out != "0\n1\n2\n3\n") return 1;
                            const auto output = Command("cat").capture({.input = "text"});
                            if (!output || !output->success() || output->out != "text") return 2;
                            const auto late = Command("sleep").arg("1000").timeout(5ms).run();
                            if (!late || !late->timed_out || late->status.signal() != SIGKILL)
                              return 3;
                            const auto missing = Command("/nowhere/program").run();
                            if (missing || missing.error().code != ENOENT) return 4;
                            return os::is_childless() ? 0 : 5;
                          }),
            0);
}

}  // namespace
}  // namespace prewarm
