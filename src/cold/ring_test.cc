// SPDX-License-Identifier: MIT
//
// Links, order and queues: the same by every backend that runs the executor.
#include <fcntl.h>
#include <poll.h>

#include <cerrno>

#include "cold/testing.h"

namespace prewarm::cold {
namespace {

char true_name[] = "true";
char* true_argv[] = {true_name, nullptr};

Operation run_true() { return op::exec("/bin/true", true_argv, environ); }
Operation run_missing() { return op::exec("/nonexistent", true_argv, environ); }

using Links = RingTest;
INSTANTIATE_TEST_SUITE_P(Backends, Links, executor_kinds(), name_of);

TEST_P(Links, AProgramRuns) {
  const Outcome o = run({run_true()});
  EXPECT_GT(o.results[0], 0);
  EXPECT_EQ(o.results[2], 0);
  EXPECT_EQ(o.status, 0);
}

TEST_P(Links, AFailureCancelsTheRest) {
  const Outcome o = run({op::chdir("/nonexistent"), op::umask(0), run_true()});
  EXPECT_EQ(std::vector(o.results.begin() + 1, o.results.end()),
            (std::vector{0, -ENOENT, -ECANCELED, -ECANCELED}));
  EXPECT_TRUE(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGKILL) << o.status;
}

TEST_P(Links, AHardLinkGoesOnAllTheSame) {
  const Outcome o = run({op::chdir("/nonexistent").hard_link(), run_true()});
  EXPECT_EQ(o.results[2], -ENOENT);
  EXPECT_EQ(o.results[3], 0);
  EXPECT_EQ(o.status, 0);
}

TEST_P(Links, AFailedExecGoesOnToTheNext) {
  const Outcome o = run({run_missing(), run_true(), run_true()});
  EXPECT_EQ(std::vector(o.results.begin() + 2, o.results.end()),
            (std::vector{-ENOENT, 0, -ECANCELED}));
  EXPECT_EQ(o.status, 0);
}

TEST_P(Links, AFailedExecWithAHardLinkEndsTheChain) {
  const Outcome o = run({run_missing().hard_link(), run_true()});
  EXPECT_EQ(o.results[2], -ENOENT);
  EXPECT_EQ(o.results[3], -ECANCELED);
  EXPECT_TRUE(WIFSIGNALED(o.status)) << o.status;
}

TEST_P(Links, AChainWithoutExecIsKilled) {
  const Outcome o = run({op::umask(022)});
  EXPECT_EQ(o.results[2], 0);
  EXPECT_TRUE(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGKILL) << o.status;
}

TEST_P(Links, ExecSaysWhatIsWrong) {
  const os::TempDirectory files;
  os::write_file(files / "plain", "text");
  EXPECT_EQ(run({op::exec((files / "plain").c_str(), true_argv, environ)}).results[2], -EACCES);
  ::chmod((files / "plain").c_str(), 0755);
  EXPECT_EQ(run({op::exec((files / "plain").c_str(), true_argv, environ)}).results[2], -ENOEXEC);
  EXPECT_EQ(run({op::exec("/bin", true_argv, environ)}).results[2], -EACCES);
  const Fd writer(::open((files / "plain").c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(run({op::exec((files / "plain").c_str(), true_argv, environ)}).results[2], -ETXTBSY);
  std::string large(256 * 1024, 'x');
  char* argv[] = {large.data(), nullptr};
  EXPECT_EQ(run({op::exec("/bin/true", argv, environ)}).results[2], -E2BIG);
}

TEST_P(Links, ManyChainsRunAtOnce) {
  for (int i = 0; i < 16; ++i) {
    const Operation chain[] = {op::clone().tag(1), run_true().tag(2)};
    ASSERT_TRUE(ring().push_chain(chain));
  }
  ASSERT_EQ(ring().submit().value(), 32U);
  int running = 0;
  for (const Completion& c : take_all(ring())) {
    if (c.user_data == 2) {
      EXPECT_EQ(c.result, 0);
      ++running;
    } else {
      EXPECT_TRUE(c.pidfd.valid());
      EXPECT_EQ(os::wait_for(c.result), 0);
    }
  }
  EXPECT_EQ(running, 16);
}

TEST_P(Links, BadInputIsACompletion) {
  Operation unknown = run_true();
  unknown.code = static_cast<OperationCode>(200);
  EXPECT_EQ(run({unknown}).results, (std::vector{-ECANCELED, -ECANCELED, -EINVAL}));
  EXPECT_EQ(run({op::clone(), run_true()}).results, (std::vector(4, -EINVAL)));
  EXPECT_EQ(run({op::exec(nullptr, true_argv, environ)}).results[2], -EFAULT);
  EXPECT_EQ(run({op::exec("/bin/true", nullptr, environ)}).results[2], -EFAULT);
  EXPECT_EQ(run({op::chdir(nullptr), run_true()}).results[2], -EFAULT);
  const Inherited twice[] = {{0, 5}, {1, 5}};
  EXPECT_EQ(run({op::keep_only(twice), run_true()}).results[2], -EINVAL);
  EXPECT_EQ(run({op::dup(1000, 1), run_true()}).results[2], -EBADF);
  std::vector<char*> many(3 << 20, true_name);
  many.push_back(nullptr);
  EXPECT_EQ(run({op::exec("/bin/true", many.data(), environ)}).results,
            (std::vector{-E2BIG, -ECANCELED, -ECANCELED}));
}

TEST_P(Links, AFullRingSaysSo) {
  RingOptions options;
  options.entries = 2;
  options.completions = 2;
  SpawnRing small = make(options);
  const Operation chain[] = {op::clone().tag(1), run_true().tag(2)};
  ASSERT_TRUE(small.push_chain(chain));
  EXPECT_FALSE(small.push(chain[0]));
  ASSERT_TRUE(small.submit());
  ASSERT_TRUE(small.push_chain(chain));
  EXPECT_EQ(small.submit().error().code, EBUSY);
  for (int round = 0; round < 2; ++round) {
    auto completions = take_all(small);
    ASSERT_EQ(completions.size(), 2U);
    EXPECT_EQ(os::wait_for(completions[0].result), 0);
    if (round == 0) {
      EXPECT_EQ(small.submit().value(), 2U);
    }
  }
}

TEST_P(Links, DescriptorsAreExactlyTheMap) {
  os::Pipe pipe = os::make_pipe();
  // A cycle, and one that stays where it is.
  const int r = pipe.read.get();
  const int w = pipe.write.get();
  const Inherited map[] = {{r, w}, {w, r}, {0, 0}, {1, 1}};
  const std::string text = shell({op::keep_only(map)},
                                 "n=0; while [ $n -lt 64 ]; do [ -e /proc/$$/fd/$n ] && "
                                 "printf '%s ' $n; n=$((n+1)); done; echo x >&" +
                                     std::to_string(r));
  EXPECT_EQ(text, "0 1 " + std::to_string(r) + " " + std::to_string(w) + " ");
  char byte = 0;
  EXPECT_EQ(::read(r, &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_P(Links, SignalsAreAsTheSubmitterHasThem) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  sigset_t ignored;
  sigemptyset(&ignored);
  sigaddset(&ignored, SIGUSR2);
  char name[] = "grep";
  char pattern[] = "^Sig[BI]";
  char file[] = "/proc/self/status";
  char* argv[] = {name, pattern, file, nullptr};
  const Outcome o = run({op::signal_ignore(ignored), op::exec("/bin/grep", argv, environ)});
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_NE(o.output.find("SigBlk:\t0000000000000200"), std::string::npos) << o.output;
  EXPECT_NE(o.output.find("SigIgn:\t0000000000000800"), std::string::npos) << o.output;
}

TEST_P(Links, SettingsReachTheProgram) {
  const rlimit files{40, 50};
  EXPECT_EQ(shell({op::chdir("/usr"), op::umask(0123), op::limit(RLIMIT_NOFILE, files), op::nice(7),
                   op::oom_score(321), op::no_new_privileges()},
                  "pwd; umask; ulimit -Sn; ulimit -Hn; nice; cat /proc/self/oom_score_adj; "
                  "grep NoNew /proc/self/status"),
            "/usr\n0123\n40\n50\n7\n321\nNoNewPrivs:\t1\n");
  EXPECT_EQ(
      shell({op::setsid()}, "read -r a b c d e f rest < /proc/$$/stat; [ $$ = $f ] && echo yes"),
      "yes\n");
}

// A task that hangs in an operation, and a chain that nobody knows.
TEST_P(Links, CancelEndsAChain) {
  const Backend backend = GetParam().backend;
  EXPECT_EQ(ring().cancel(7).error().code, ENOENT);
  if (backend == Backend::vfork) GTEST_SKIP() << "nothing is under way when submit returns";
  const os::TempDirectory files;
  const std::string fifo = files / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const Operation chain[] = {op::clone().tag(7), op::open(0, fifo.c_str(), O_RDONLY).tag(8),
                             run_true().tag(9)};
  ASSERT_TRUE(ring().push_chain(chain));
  ASSERT_TRUE(ring().submit());
  Completion first[1];
  ASSERT_EQ(ring().wait(first, os::kBoundMs).value(), 1U);
  ASSERT_GT(first[0].result, 0);
  EXPECT_TRUE(ring().cancel(7));
  const auto rest = take_all(ring());
  ASSERT_EQ(rest.size(), 2U);
  for (const Completion& c : rest) EXPECT_EQ(c.result, -ECANCELED);
  EXPECT_EQ(os::wait_for(first[0].result), SIGKILL);
  EXPECT_EQ(ring().cancel(7).error().code, ENOENT);
}

TEST_P(Links, TheDescriptorIsReadableWhileThereIsSomethingToReap) {
  if (!GetParam().own_task) {
    EXPECT_EQ(ring().pollable(), -1);
    return;
  }
  const int fd = ring().pollable();
  EXPECT_FALSE(os::wait_readable(fd, 0));
  const Operation chain[] = {op::clone().tag(1), run_true().tag(2)};
  ASSERT_TRUE(ring().push_chain(chain));
  ASSERT_TRUE(ring().submit());
  EXPECT_TRUE(os::wait_readable(fd));
  const auto all = take_all(ring());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_FALSE(os::wait_readable(fd, 0));
  EXPECT_EQ(os::wait_for(all[0].result), 0);
}

TEST_P(Links, ARingIsDeadInAForkedChild) {
  os::Child child([this] {
    const auto submitted = ring().submit();
    return submitted.has_value() || submitted.error().code != EOWNERDEAD ? 1 : 0;
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST(PosixSpawnBackend, RunsWhatItCanAndRefusesTheRest) {
  RingOptions options;
  options.backend = Backend::posix_spawn;
  auto ring = SpawnRing::create(options);
  ASSERT_TRUE(ring);
  const Operation good[] = {op::clone(), op::chdir("/"), run_missing(), run_true()};
  ASSERT_TRUE(ring->push_chain(good));
  ASSERT_TRUE(ring->submit());
  auto all = take_all(*ring);
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].result, 0);
  EXPECT_EQ(all[2].result, -ENOENT);
  EXPECT_EQ(all[3].result, 0);
  EXPECT_EQ(os::wait_for(all[0].result), 0);
  const Operation bad[] = {op::clone(), op::umask(0), run_true()};
  ASSERT_TRUE(ring->push_chain(bad));
  ASSERT_TRUE(ring->submit());
  all = take_all(*ring);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].result, -EOPNOTSUPP);
  EXPECT_EQ(all[1].result, -EOPNOTSUPP);
  EXPECT_EQ(all[2].result, -ECANCELED);
}

TEST(IoUringBackend, IsRefusedWhereTheKernelHasNoSuchOperations) {
  EXPECT_FALSE(probe(Backend::io_uring));
  RingOptions options;
  options.backend = Backend::io_uring;
  options.opcode_clone = 250;
  options.opcode_exec = 251;
  EXPECT_FALSE(SpawnRing::create(options));
}

}  // namespace
}  // namespace prewarm::cold
