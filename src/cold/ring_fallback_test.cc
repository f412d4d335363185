// SPDX-License-Identifier: MIT
//
// Rings where system calls are missing: as on an old kernel, which says ENOSYS, and as in a sandbox
// that doesn't know them, which says EPERM. Each case is a process of its own, because there is no
// way back from a filter.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "cold/testing.h"
#include "cold/testing/masked.h"

namespace prewarm::cold {
namespace {

constexpr Kind kKinds[] = {
    {Backend::shared_memory, true}, {Backend::shared_memory, false}, {Backend::vfork, true},
    {Backend::vfork, false},        {Backend::fork, true},           {Backend::fork, false},
    {Backend::posix_spawn, true},   {Backend::posix_spawn, false},   {Backend::automatic, true},
    {Backend::automatic, false},
};

std::string describe(const Kind& kind) {
  return std::string(backend_name(kind.backend)) +
         (kind.own_task ? "" : " without a task of its own");
}

Result<SpawnRing> make_ring(const Kind& kind) {
  RingOptions options;
  options.backend = kind.backend;
  options.own_task = kind.own_task;
  return SpawnRing::create(options);
}

// The one with this user data; there must be exactly one.
const Completion& completion_of(const std::vector<Completion>& all, std::uint64_t user_data) {
  static const Completion none{.user_data = 0, .result = -1000, .code = {}, .pidfd = Fd()};
  const auto is_it = [user_data](const Completion& c) { return c.user_data == user_data; };
  EXPECT_EQ(std::ranges::count_if(all, is_it), 1) << "completions of " << user_data;
  const auto found = std::ranges::find_if(all, is_it);
  return found == all.end() ? none : *found;
}

// <sys/syscall.h> of old C libraries lacks some. All are the same for all processors.
constexpr int kPidfdOpen = 434;
constexpr int kClone3 = 435;
constexpr int kCloseRange = 436;
constexpr int kUringSetup = 425;
constexpr int kLandlockCreate = 444;
constexpr int kLandlockAdd = 445;
constexpr int kLandlockRestrict = 446;
constexpr int kFutexWaitv = 449;

struct Masked {
  const char* name;
  std::vector<int> calls;
  int error;

  bool has(int call) const { return std::ranges::find(calls, call) != calls.end(); }
};

void PrintTo(const Masked& masked, std::ostream* out) {
  *out << masked.name << " (" << (masked.error == ENOSYS ? "ENOSYS" : "EPERM") << ")";
}

std::vector<Masked> all_masks() {
  const std::vector<int> landlock{kLandlockCreate, kLandlockAdd, kLandlockRestrict};
  std::vector<int> all{kClone3, kPidfdOpen, kCloseRange, kUringSetup, kFutexWaitv};
  all.insert(all.end(), landlock.begin(), landlock.end());
  std::vector<Masked> masks;
  for (const int error : {ENOSYS, EPERM}) {
    masks.push_back({"Clone3", {kClone3}, error});
    masks.push_back({"PidfdOpen", {kPidfdOpen}, error});
    masks.push_back({"CloseRange", {kCloseRange}, error});
    masks.push_back({"UringSetup", {kUringSetup}, error});
    masks.push_back({"FutexWaitv", {kFutexWaitv}, error});
    masks.push_back({"Landlock", landlock, error});
    masks.push_back({"All", all, error});
  }
  return masks;
}

// Arguments that make none of them do anything, should they work after all.
int error_of(int call) {
  errno = 0;
  return ::syscall(call, -1, -1, -1, 0, 0, 0) == -1 ? errno : 0;
}

int exit_status(pid_t pid) {
  int status = -1;
  if (pid <= 0 || ::waitpid(pid, &status, 0) != pid) return -1;
  return status;
}

// What a chain of the ring is asked to do.
class Essence {
 public:
  Essence(SpawnRing& ring, const Masked& masked, Backend backend)
      : ring_(ring), masked_(masked), by_libc_(backend == Backend::posix_spawn) {}

  void check() {
    // The C library's posix_spawn doesn't do without clone3 if it says EPERM.
    if (by_libc_ && masked_.error == EPERM && masked_.has(kClone3)) {
      EXPECT_EQ(run({op::clone().tag(1), exec("/bin/true").tag(2)}, 1), -EPERM);
      return;
    }
    starts_as_told();
    reports_a_missing_program();
    keeps_only();
    runs_many_at_once();
    if (by_libc_) return;
    refuses_a_cgroup();
    if (masked_.has(kLandlockRestrict)) refuses_landlock();
  }

 private:
  static Operation exec(const char* path) {
    static char name[] = "state";
    static char report[] = "report";
    static char* const argv[] = {name, report, nullptr};
    return op::exec(path, argv, environ);
  }

  // The result of the operation with this tag.
  int run(const std::vector<Operation>& chain, std::uint64_t tag) {
    EXPECT_TRUE(ring_.push_chain(chain));
    EXPECT_TRUE(ring_.submit());
    done_ = take_all(ring_);
    EXPECT_EQ(done_.size(), chain.size());
    return completion_of(done_, tag).result;
  }
  pid_t pid() const { return completion_of(done_, 1).result; }

  std::string report() const { return os::read_file(directory_ / "report"); }

  void starts_as_told() {
    EXPECT_EQ(
        run({op::clone().tag(1), op::chdir(directory_.path().c_str()).tag(2),
             op::open(1, "out", O_WRONLY | O_CREAT, 0644).tag(3), op::dup(1, 2).tag(4),
             op::close(0).tag(5), op::close_range(3, ~0U).tag(6), exec(PREWARM_TEST_STATE).tag(7)},
            7),
        0);
    for (std::uint64_t tag = 2; tag < 7; ++tag) EXPECT_EQ(completion_of(done_, tag).result, 0);
    const Fd& pidfd = completion_of(done_, 1).pidfd;
    if (pidfd.valid()) {
      EXPECT_TRUE(os::has_ended(pidfd));
    } else {
      EXPECT_TRUE(by_libc_ && masked_.has(kPidfdOpen)) << "clone itself could have made one";
    }
    EXPECT_EQ(exit_status(pid()), 0);
    const std::string state = report();
    const std::string out = directory_ / "out";
    EXPECT_EQ(count_of(state, "\nfd "), 1) << state;  // the first line has no newline before it
    EXPECT_TRUE(state.starts_with("fd 1 cloexec 0 ")) << state;
    EXPECT_EQ(count_of(state, out + "\n"), 2) << state;
    EXPECT_NE(state.find("\ndirectory " + directory_.path() + "\n"), std::string::npos) << state;
  }

  void reports_a_missing_program() {
    EXPECT_EQ(
        run({op::clone().tag(1), exec("/nonexistent/1").tag(2), exec("/nonexistent/2").tag(3)}, 3),
        -ENOENT);
    EXPECT_EQ(completion_of(done_, 2).result, -ENOENT);
    if (by_libc_) {
      EXPECT_EQ(pid(), -ENOENT);
      return;
    }
    const int status = exit_status(pid());
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }

  void keeps_only() {
    const os::Pipe pipe = os::make_pipe();
    // Sources and targets overlap, so that they have to be moved out of each other's way.
    const Inherited map[] = {{pipe.write.get(), pipe.read.get()}, {pipe.read.get(), 1}};
    const std::vector<Operation> chain{op::clone().tag(1),
                                       op::chdir(directory_.path().c_str()).tag(2),
                                       op::keep_only(map).tag(3), exec(PREWARM_TEST_STATE).tag(4)};
    if (by_libc_) {
      EXPECT_EQ(run(chain, 1), -EOPNOTSUPP);
      EXPECT_EQ(completion_of(done_, 4).result, -ECANCELED);
      return;
    }
    EXPECT_EQ(run(chain, 4), 0);
    EXPECT_EQ(exit_status(pid()), 0);
    const std::string state = report();
    EXPECT_TRUE(state.starts_with("fd 1 ")) << state;
    EXPECT_EQ(count_of(state, "\nfd "), 1) << state;
    EXPECT_EQ(count_of(state, "\nfd " + std::to_string(pipe.read.get()) + " "), 1) << state;
  }

  void runs_many_at_once() {
    constexpr std::uint64_t kMany = 50;
    for (std::uint64_t i = 1; i <= kMany; ++i) {
      const Operation chain[] = {op::clone().tag(2 * i), exec("/bin/true").tag(2 * i + 1)};
      ASSERT_TRUE(ring_.push_chain(chain));
    }
    ASSERT_TRUE(ring_.submit());
    const auto done = take_all(ring_);
    EXPECT_EQ(done.size(), 2 * kMany);
    for (std::uint64_t i = 1; i <= kMany; ++i) {
      EXPECT_EQ(completion_of(done, 2 * i + 1).result, 0);
      EXPECT_EQ(exit_status(completion_of(done, 2 * i).result), 0);
    }
  }

  // Only clone3 can begin in a cgroup; what is given here isn't one.
  void refuses_a_cgroup() {
    const Fd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CloneOptions options;
    options.cgroup = directory.get();
    EXPECT_EQ(run({op::clone(options).tag(1), exec("/bin/true").tag(2)}, 1),
              masked_.has(kClone3) ? -EOPNOTSUPP : -EBADF);
    EXPECT_EQ(completion_of(done_, 2).result, -ECANCELED);
  }

  void refuses_landlock() {
    EXPECT_EQ(run({op::clone().tag(1), op::landlock(0).tag(2), exec("/bin/true").tag(3)}, 2),
              -masked_.error);
    EXPECT_EQ(completion_of(done_, 3).result, -ECANCELED);
    exit_status(pid());
  }

  static int count_of(const std::string& text, const std::string& part) {
    int count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  }

  SpawnRing& ring_;
  const Masked& masked_;
  const bool by_libc_;
  std::vector<Completion> done_;
  os::TempDirectory directory_;
};

void check_kind(const Kind& kind, const Masked& masked) {
  const auto before = os::open_descriptors();
  {
    auto ring = make_ring(kind);
    // Nor does the C library make threads then.
    if (kind.own_task && masked.error == EPERM && masked.has(kClone3)) {
      ASSERT_FALSE(ring);
      EXPECT_EQ(ring.error().code, EPERM) << ring.error().message();
      return;
    }
    ASSERT_TRUE(ring) << ring.error().message();
    if (kind.backend == Backend::automatic) {
      EXPECT_EQ(ring->backend(), Backend::shared_memory);
    }
    Essence(*ring, masked, kind.backend).check();
  }
  EXPECT_EQ(os::open_descriptors(), before);
  EXPECT_TRUE(os::is_childless());
}

class RingFallback : public testing::TestWithParam<Masked> {};

TEST_P(RingFallback, DoesWithout) {
  const Masked& masked = GetParam();
  os::Child child([&masked] {
    mask_system_calls(masked.calls, masked.error);
    for (const int call : masked.calls) EXPECT_EQ(error_of(call), masked.error) << call;
    for (const Kind& kind : kKinds) {
      SCOPED_TRACE(describe(kind));
      check_kind(kind, masked);
    }
    const auto uring = make_ring({Backend::io_uring, false});
    EXPECT_FALSE(uring);
    std::fflush(stdout);
    return testing::Test::HasFailure() ? 1 : 0;
  });
  EXPECT_EQ(child.wait(), 0) << "see what the process wrote, above";
}

INSTANTIATE_TEST_SUITE_P(, RingFallback, testing::ValuesIn(all_masks()), [](const auto& test) {
  return std::string(test.param.name) + (test.param.error == ENOSYS ? "Missing" : "Forbidden");
});

}  // namespace
}  // namespace prewarm::cold
