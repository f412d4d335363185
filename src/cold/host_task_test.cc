// SPDX-License-Identifier: MIT
#include "cold/host_task.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "os/testing.h"

extern "C" char** environ;

namespace prewarm::cold {
namespace {

using os::Fd;
using os::Pipe;

constexpr std::uint32_t kDescriptorsKept = 1;

class HostTaskTest : public os::LeavesNothing {
 protected:
  // Starts /bin/sh -c SCRIPT, or PROGRAM, with a pipe as output and errors.
  pid_t start(const char* script, const char* program = "/bin/sh") {
    output_ = os::make_pipe();
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const Inherited map[] = {{null.get(), 0}, {output_.write.get(), 1}, {output_.write.get(), 2}};
    std::string words[] = {"sh", "-c", script};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    sigset_t none;
    ::sigemptyset(&none);
    const Operation chain[] = {op::clone({.pidfd = false}).link(), op::keep_only(map).link(),
                               op::signal_mask(none).link(), op::chdir("/usr").link(),
                               op::exec(program, argv, environ)};
    const pid_t pid = task_.start(chain, kDescriptorsKept);
    output_.write.reset();
    return pid;
  }

  HostTask task_;
  Pipe output_;
};

TEST_F(HostTaskTest, StartsAProgramAsTheChainSays) {
  const pid_t pid = start("pwd; echo /proc/self/fd/*; exit 9");
  ASSERT_GT(pid, 0);
  const std::string text = os::read_all(output_.read.get());
  EXPECT_EQ(text.substr(0, 5), "/usr\n");
  EXPECT_EQ(text.find("/proc/self/fd/4"), std::string::npos) << text;
  const int status = os::wait_for(pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 9);
  EXPECT_FALSE(task_.has_failed());
}

TEST_F(HostTaskTest, WhenItReturnsTheDescriptorsAreLetGo) {
  Pipe other = os::make_pipe();
  Pipe held = os::make_pipe();
  const pid_t pid = start("read line");
  ASSERT_GT(pid, 0);
  other.write.reset();
  // Whoever waits for the end of that pipe sees it, even if the program isn't there yet.
  EXPECT_TRUE(os::wait_readable(other.read.get(), 0));
  EXPECT_NE(os::wait_for(pid), -1);
}

TEST_F(HostTaskTest, KnowsWhenTheProgramCouldNotBeExecuted) {
  const pid_t pid = start("", "/nonexistent/program");
  ASSERT_GT(pid, 0);
  const int status = os::wait_for(pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_TRUE(task_.has_failed());
}

TEST_F(HostTaskTest, ATaskThatNeverGetsToTheAwaitedOperationIsNotWaitedFor) {
  const Inherited closed[] = {{987, 1}};
  char name[] = "true";
  char* argv[] = {name, nullptr};
  const Operation chain[] = {op::clone({.pidfd = false}).link(), op::keep_only(closed).link(),
                             op::exec("/bin/true", argv, environ)};
  const pid_t pid = task_.start(chain, kDescriptorsKept);
  ASSERT_GT(pid, 0);
  EXPECT_NE(os::wait_for(pid), -1);
  EXPECT_TRUE(task_.has_failed());
}

TEST_F(HostTaskTest, BadChainsAreErrors) {
  EXPECT_EQ(task_.start({}, 0), -EINVAL);
  const Operation no_clone[] = {op::chdir("/")};
  EXPECT_EQ(task_.start(no_clone, 0), -EINVAL);
  const Operation null[] = {op::clone().link(), op::exec(nullptr, nullptr, nullptr)};
  EXPECT_LT(task_.start(null, 0), 0);
}

// Many at once, of which each has given its memory back.
TEST_F(HostTaskTest, KeepsNoMemory) {
  const auto count_mappings = [] {
    const Fd maps(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
    const std::string text = os::read_all(maps.get());
    return std::count(text.begin(), text.end(), '\n');
  };
  const auto before = count_mappings();
  for (int i = 0; i < 100; ++i) {
    HostTask task;
    char name[] = "true";
    char* argv[] = {name, nullptr};
    sigset_t none;
    ::sigemptyset(&none);
    const Operation chain[] = {op::clone({.pidfd = false}).link(), op::signal_mask(none).link(),
                               op::exec("/bin/true", argv, environ)};
    const pid_t pid = task.start(chain, 1);
    ASSERT_GT(pid, 0);
    EXPECT_EQ(os::wait_for(pid), 0);
  }
  EXPECT_LT(count_mappings(), before + 20);
}

}  // namespace
}  // namespace prewarm::cold
