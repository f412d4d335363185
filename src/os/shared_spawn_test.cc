// SPDX-License-Identifier: MIT
#include "os/shared_spawn.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "os/testing.h"

namespace prewarm::os {
namespace {

class SharedSpawnTest : public ::testing::Test {
 protected:
  // A program whose output and errors come here. What it uses has numbers above its own.
  void prepare(const std::vector<std::string>& command) {
    spawn_ = std::make_unique<SharedSpawn>();
    spawn_->path = command[0];
    spawn_->strings = command;
    spawn_->strings.reserve(command.size() + 8);
    for (auto& s : spawn_->strings) spawn_->argv.push_back(s.data());
    Pipe output = make_pipe();
    output_ = std::move(output.read);
    const int out = write_end_.emplace_back(move_above(std::move(output.write), 50)).get();
    const int in = write_end_.emplace_back(move_above(Fd(::open("/dev/null", O_RDWR)), 50)).get();
    spawn_->descriptors = {in, out, out};
  }
  SharedSpawn& spawn() { return *spawn_; }

  // What it writes, and how it ends.
  std::string run(int wanted_status = 0) {
    const pid_t pid = start();
    const std::string text = read_all(output_.get());
    const int status = wait_for(pid);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), wanted_status) << text;
    return text;
  }
  pid_t start() {
    spawn_->terminate();
    const pid_t pid = spawn_shared(*spawn_);
    EXPECT_GT(pid, 0);
    write_end_.clear();
    return pid;
  }
  std::string status_field(const std::string& field) {
    const std::string text = run();
    const std::size_t at = text.find(field + ":\t");
    return text.substr(at + field.size() + 2, 16);
  }

  Fd output_;

 private:
  std::unique_ptr<SharedSpawn> spawn_;
  std::vector<Fd> write_end_;
};

TEST_F(SharedSpawnTest, PassesArgumentsAndStatus) {
  prepare({"/bin/sh", "-c", "printf '%s,' \"$@\"; exit 9", "name", "", "two\nlines", "\xff"});
  EXPECT_EQ(run(9), ",two\nlines,\xff,");
}

TEST_F(SharedSpawnTest, AppendsTheEnvironmentThatIsWanted) {
  prepare({"/usr/bin/env"});
  char first[] = "FIRST=1";
  spawn().env.push_back(first);
  {
    // Gone before the program starts.
    std::vector<std::string> strings = {"B=2", "SECRET=x", "A=" + std::string(100, 'a'), "B=3"};
    std::vector<char*> row;
    for (auto& s : strings) row.push_back(s.data());
    row.push_back(nullptr);
    spawn().append_environment(row.data(),
                               [](const char* s) { return std::strncmp(s, "SECRET=", 7) != 0; });
    for (auto& s : strings) s.assign(s.size(), '?');
  }
  // More strings must not move those that are there.
  for (int i = 0; i < 100; ++i) spawn().strings.emplace_back("short");
  EXPECT_EQ(run(), "FIRST=1\nB=2\nA=" + std::string(100, 'a') + "\nB=3\n");
}

TEST_F(SharedSpawnTest, GivesTheseDescriptorsOnly) {
  const Pipe stray = make_pipe();
  const Fd inheritable(::dup(stray.read.get()));
  prepare({"/bin/ls", "/proc/self/fd"});
  EXPECT_EQ(run(), "0\n1\n2\n3\n");
}

TEST_F(SharedSpawnTest, HasLetGoOfTheCallersDescriptors) {
  prepare({"/bin/cat"});
  Pipe input = make_pipe();
  const Fd in = move_above(std::move(input.read), 50);
  spawn().descriptors[0] = in.get();
  Pipe other = make_pipe();
  const pid_t pid = start();
  other.write.reset();
  // The program runs on, but whoever waits for the end of that pipe sees it.
  EXPECT_TRUE(wait_readable(other.read.get(), 0)) << "not even for a moment";
  input.write.reset();
  EXPECT_EQ(wait_for(pid), 0);
}

TEST_F(SharedSpawnTest, StartsInItsDirectory) {
  prepare({"/bin/pwd"});
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(run(), here + "\n");
  prepare({"/bin/pwd"});
  spawn().directory = "/usr";
  EXPECT_EQ(run(), "/usr\n");
  EXPECT_EQ(std::filesystem::current_path().string(), here) << "the caller's own is as it was";
}

TEST_F(SharedSpawnTest, SetsSignals) {
  sigset_t usr1;
  sigset_t before;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &usr1, &before), 0);
  const auto old = ::signal(SIGUSR2, SIG_IGN);

  prepare({"/bin/cat", "/proc/self/status"});
  EXPECT_EQ(status_field("SigBlk"), "0000000000000000") << "whatever the caller blocks";
  prepare({"/bin/cat", "/proc/self/status"});
  EXPECT_EQ(status_field("SigIgn"), "0000000000000800") << "inherited";
  prepare({"/bin/cat", "/proc/self/status"});
  spawn().default_signals = true;
  EXPECT_EQ(status_field("SigIgn"), "0000000000000000");
  prepare({"/bin/cat", "/proc/self/status"});
  spawn().block_signals = true;
  // All but what can't be blocked, and the two that the C library keeps for itself.
  EXPECT_EQ(std::stoull(status_field("SigBlk"), nullptr, 16) | 0x0000000180040100,
            0xffffffffffffffff);

  sigset_t after;
  ASSERT_EQ(::sigprocmask(SIG_SETMASK, &before, &after), 0);
  EXPECT_EQ(sigismember(&after, SIGUSR1), 1);
  EXPECT_EQ(sigismember(&after, SIGUSR2), 0) << "the caller's mask is as it was";
  EXPECT_EQ(::signal(SIGUSR2, old), SIG_IGN) << "and so are its dispositions";
}

TEST_F(SharedSpawnTest, AProgramThatIsNotThereIs127) {
  prepare({"/nonexistent/program"});
  EXPECT_EQ(run(127), "");
}

}  // namespace
}  // namespace prewarm::os
