// SPDX-License-Identifier: MIT
//
// Who may end before whom: the thread that submits, the program, the ring, and a forked process
// that has a copy of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "cold/testing.h"

namespace prewarm::cold {
namespace {

class Lifetime : public RingTest {
 protected:
  void SetUp() override {
    RingTest::SetUp();
    input = os::make_pipe();
    output = os::make_pipe();
  }
  void TearDown() override {
    input = {};
    output = {};
    RingTest::TearDown();
  }

  // Reads what is written to `input` until that is closed.
  std::vector<Operation> cat() const {
    static char name[] = "cat";
    static char* const argv[] = {name, nullptr};
    return {op::clone().tag(1), op::dup(input.read.get(), 0).tag(2),
            op::dup(output.write.get(), 1).tag(3), op::death_signal(SIGKILL).tag(4),
            op::exec("/bin/cat", argv, environ).tag(5)};
  }
  // What the program with this pid says when it is spoken to, and its status then.
  std::pair<std::string, int> ask(pid_t pid) {
    EXPECT_EQ(::write(input.write.get(), "alive", 5), 5);
    input.write.reset();
    output.write.reset();
    std::string text = os::read_all(output.read.get());
    return {text, os::wait_for(pid)};
  }

  os::TempDirectory directory;
  os::Pipe input;
  os::Pipe output;
};

INSTANTIATE_TEST_SUITE_P(Backends, Lifetime,
                         ::testing::Values(Kind{Backend::shared_memory, true},
                                           Kind{Backend::shared_memory, false},
                                           Kind{Backend::vfork, true}, Kind{Backend::vfork, false},
                                           Kind{Backend::fork, true}, Kind{Backend::fork, false}),
                         name_of);

int result_of(const std::vector<Completion>& all, std::uint64_t user_data) {
  for (const Completion& c : all) {
    if (c.user_data == user_data) return c.result;
  }
  return -1000;
}

// The parent that the death signal is about is the process if the ring has a task of its own, and
// else the thread.
TEST_P(Lifetime, AThreadEndsAfterItHasStartedAProgram) {
  std::vector<Completion> done;
  std::thread([&] {
    EXPECT_TRUE(ring().push_chain(cat()));
    EXPECT_TRUE(ring().submit());
    done = take_all(ring());
  }).join();
  ASSERT_EQ(result_of(done, 5), 0);
  const pid_t pid = result_of(done, 1);
  if (GetParam().own_task) {
    EXPECT_EQ(ask(pid), std::pair(std::string("alive"), 0));
  } else {
    EXPECT_EQ(os::wait_for(pid), SIGKILL);
  }
}

TEST_P(Lifetime, AThreadEndsWhileItsChainIsUnderWay) {
  if (!GetParam().own_task && GetParam().backend == Backend::vfork) {
    GTEST_SKIP() << "nothing is under way when submit returns";
  }
  // The task can't go on until somebody writes there.
  const std::string fifo = directory / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  std::vector<Operation> chain = cat();
  chain.insert(chain.begin() + 1, op::open(20, fifo.c_str(), O_RDONLY).tag(6));
  pid_t thread = 0;
  std::thread([&] {
    thread = ::gettid();
    EXPECT_TRUE(ring().push_chain(chain));
    EXPECT_TRUE(ring().submit());
  }).join();
  // It can be seen for a moment after it has been joined.
  while (::syscall(SYS_tgkill, ::getpid(), thread, 0) == 0) std::this_thread::yield();
  {
    const Fd gate(::open(fifo.c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_TRUE(gate.valid());
  }
  const auto done = take_all(ring());
  const pid_t pid = result_of(done, 1);
  ASSERT_GT(pid, 0);
  if (GetParam().own_task) {
    EXPECT_EQ(result_of(done, 5), 0);
    EXPECT_EQ(ask(pid), std::pair(std::string("alive"), 0));
  } else {
    // Its parent had ended before it could ask for the signal.
    EXPECT_EQ(result_of(done, 4), -ESRCH);
    EXPECT_EQ(result_of(done, 5), -ECANCELED);
    EXPECT_EQ(os::wait_for(pid), SIGKILL);
  }
}

TEST_P(Lifetime, AProgramOutlivesItsRing) {
  SpawnRing short_lived = make();
  ASSERT_TRUE(short_lived.push_chain(cat()));
  ASSERT_TRUE(short_lived.submit());
  const auto done = take_all(short_lived);
  ASSERT_EQ(result_of(done, 5), 0);
  {
    const SpawnRing gone = std::move(short_lived);
  }
  EXPECT_EQ(ask(result_of(done, 1)), std::pair(std::string("alive"), 0));
}

TEST_P(Lifetime, ADetachedProgramThatOutlivesItsRingIsWaitedForAllTheSame) {
  std::vector<Completion> done;
  {
    SpawnRing short_lived = make();
    CloneOptions options;
    options.detached = true;
    std::vector<Operation> chain = cat();
    chain.front() = op::clone(options).tag(1);
    ASSERT_TRUE(short_lived.push_chain(chain));
    ASSERT_TRUE(short_lived.submit());
    done = take_all(short_lived);
  }
  ASSERT_EQ(result_of(done, 5), 0);
  input.write.reset();
  EXPECT_TRUE(os::has_ended(done.front().pidfd));
  EXPECT_FALSE(os::is_childless());
  make();  // which looks after those that were left
  EXPECT_TRUE(os::is_childless());
}

// With chains under way, completions to be taken and operations in the queue.
TEST_P(Lifetime, ACopyInAForkedProcessIsDead) {
  const Operation refused[] = {op::clone().tag(7), op::close(-1).tag(8)};
  ASSERT_TRUE(ring().push_chain(refused));
  ASSERT_TRUE(ring().submit());
  ASSERT_TRUE(ring().push_chain(cat()));
  os::Child child([this] {
    Completion one[1];
    const auto is_dead = [](const auto& r) { return !r && r.error().code == EOWNERDEAD; };
    const std::array right{is_dead(ring().submit()),  is_dead(ring().wait(one)),
                           is_dead(ring().cancel(1)), !ring().push(op::clone()),
                           !ring().push_chain(cat()), ring().reap(one) == 0,
                           ring().outstanding() == 0, ring().pollable() == -1};
    for (std::size_t i = 0; i < right.size(); ++i) {
      if (!right[i]) return static_cast<int>(i) + 1;
    }
    // Its end touches nothing of the parent's, and doesn't hang.
    {
      const SpawnRing gone = std::move(ring());
    }
    return 0;
  });
  EXPECT_EQ(child.wait(), 0);
  // And here nothing has changed.
  EXPECT_EQ(take_all(ring()).size(), 2U);
  ASSERT_TRUE(ring().submit());
  const auto done = take_all(ring());
  EXPECT_EQ(result_of(done, 5), 0);
  EXPECT_EQ(ask(result_of(done, 1)), std::pair(std::string("alive"), 0));
}

}  // namespace
}  // namespace prewarm::cold
