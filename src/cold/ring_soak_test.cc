// SPDX-License-Identifier: MIT
//
// Many spawns by many threads while signals arrive. Small unless the environment says more:
// PREWARM_SOAK_SPAWNS (of each test) and PREWARM_SOAK_THREADS; `./dev soak` sets them.
//
// Each thread submits chains of several kinds, some of which are to fail and some cancelled, and
// takes whatever completions are there, its own or another's. A ledger keeps, for each chain, what
// came of it; what must hold is looked at when all is over.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cold/testing.h"
#include "os/testing.h"

namespace prewarm::cold {
namespace {

constexpr long kSpawns = PREWARM_SANITIZED ? 500 : 3000;  // a sanitized process is slow to fork
constexpr long kThreads = 8;
constexpr long kSignalIntervalNs = 3'000'000;
// A thread that polls looks again then: another may have taken what there was.
constexpr int kLookAgainMs = 20;

long from_environment(const char* name, long otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::atol(value) : otherwise;
}

// ---- Chains
// ----------------------------------------------------------------------------------------

enum class Fate { plain, search, missing, broken, refused, cancelled };
constexpr std::size_t kOperations = 3;  // of each chain

Fate fate_of(std::size_t chain) {
  switch (chain % 16) {
    case 3:
      return Fate::search;
    case 6:
      return Fate::missing;
    case 9:
      return Fate::broken;
    case 12:
      return Fate::refused;
    case 7:
    case 15:
      return Fate::cancelled;
    default:
      return Fate::plain;
  }
}

// The status of the program that a chain starts: how many arguments it has.
int arguments_of(std::size_t chain) { return 1 + static_cast<int>(chain % 7); }

std::uint64_t tag_of(std::size_t chain, std::size_t operation) {
  return chain * kOperations + operation;
}

std::array<Operation, kOperations> operations_of(std::size_t chain) {
  static char word[] = "x";
  static char* const words[] = {word, word, word, word, word, word, word, nullptr};
  static char* const none[] = {nullptr};
  char* const* argv = words + 7 - arguments_of(chain);
  std::array<Operation, kOperations> row{op::clone(), op::umask(022),
                                         op::exec(PREWARM_TEST_COUNT, argv, none)};
  switch (fate_of(chain)) {
    case Fate::search:
      row[1] = op::exec("/nonexistent/program", argv, none);
      break;
    case Fate::missing:
      row[2] = op::exec("/nonexistent/program", argv, none);
      break;
    case Fate::broken:
      row[1] = op::chdir("/nonexistent");
      break;
    case Fate::refused:
      row[1] = op::close(-1);
      break;
    case Fate::plain:
    case Fate::cancelled:
      break;
  }
  for (std::size_t i = 0; i < row.size(); ++i) row[i].user_data = tag_of(chain, i);
  return row;
}

// What came of one chain. Several threads may write, each its own part.
struct Entry {
  std::array<std::atomic<int>, kOperations> completions{};
  std::array<std::int32_t, kOperations> results{};
  std::atomic<int> ended{0};  // how many times it was waited for
  int status = -1;
  std::optional<int> cancelled;  // 0, or errno
};

// What is wrong with it; empty if nothing is.
std::string verdict(std::size_t chain, const Entry& e) {
  for (const auto& count : e.completions) {
    if (count.load() != 1) return "not one completion of each operation";
  }
  const auto [clone, second, third] = e.results;
  const bool has_program = clone > 0;
  if (e.ended.load() != (has_program ? 1 : 0)) return "not waited for once";
  const auto is = [&](bool program, std::int32_t wanted_second, std::int32_t wanted_third,
                      int status) {
    return has_program == program && second == wanted_second && third == wanted_third &&
           e.status == status;
  };
  const int good = W_EXITCODE(arguments_of(chain), 0);
  bool right = false;
  switch (fate_of(chain)) {
    case Fate::plain:
      right = is(true, 0, 0, good);
      break;
    case Fate::search:
      right = is(true, -ENOENT, 0, good);
      break;
    case Fate::missing:
      right = is(true, 0, -ENOENT, SIGKILL);
      break;
    case Fate::broken:
      right = is(true, -ENOENT, -ECANCELED, SIGKILL);
      break;
    case Fate::refused:
      right = clone == -ECANCELED && is(false, -EBADF, -ECANCELED, -1);
      break;
    case Fate::cancelled:
      // Before it began, in the middle, or too late.
      if (e.cancelled != 0) {
        right = is(true, 0, 0, good);
      } else if (has_program) {
        right = is(true, 0, -ECANCELED, SIGKILL) || is(true, -ECANCELED, -ECANCELED, SIGKILL);
      } else {
        right = clone == -ECANCELED && is(false, -ECANCELED, -ECANCELED, -1);
      }
      break;
  }
  return right ? "" : "another result than it should have";
}

// ---- Signals
// ---------------------------------------------------------------------------------------

std::atomic<long> handled{0};
std::atomic<long> handled_elsewhere{0};
pid_t this_process = 0;

void handle(int) {
  // In a task that shares this memory it would be seen, too.
  (::getpid() == this_process ? handled : handled_elsewhere).fetch_add(1);
}

// Handlers of two signals, one of which interrupts system calls for good.
class Handlers {
 public:
  Handlers() {
    this_process = ::getpid();
    handled = handled_elsewhere = 0;
    for (const int signal : {SIGUSR1, SIGUSR2}) {
      struct sigaction action{};
      action.sa_handler = handle;
      action.sa_flags = signal == SIGUSR1 ? SA_RESTART : 0;
      ::sigaction(signal, &action, signal == SIGUSR1 ? &before_[0] : &before_[1]);
    }
  }
  Handlers(const Handlers&) = delete;
  Handlers& operator=(const Handlers&) = delete;
  ~Handlers() {
    ::sigaction(SIGUSR1, &before_[0], nullptr);
    ::sigaction(SIGUSR2, &before_[1], nullptr);
  }

 private:
  struct sigaction before_[2];
};

// Sends a signal to the calling thread, again and again.
class Nuisance {
 public:
  explicit Nuisance(int signal) {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = signal;
    event._sigev_un._tid = ::gettid();
    if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) std::abort();
    const itimerspec often{{0, kSignalIntervalNs}, {0, kSignalIntervalNs}};
    if (::timer_settime(timer_, 0, &often, nullptr) != 0) std::abort();
  }
  Nuisance(const Nuisance&) = delete;
  Nuisance& operator=(const Nuisance&) = delete;
  ~Nuisance() { ::timer_delete(timer_); }

 private:
  timer_t timer_{};
};

// ---- Workers
// ---------------------------------------------------------------------------------------

struct Work {
  explicit Work(std::size_t count) : chains(count), entries(new Entry[count]) {}

  const std::size_t chains;
  const std::unique_ptr<Entry[]> entries;
  std::atomic<std::size_t> next{0};
};

class Worker {
 public:
  Worker(Work& work, SpawnRing& ring, bool polls) : work_(work), ring_(ring), polls_(polls) {}

  void run() {
    for (;;) {
      const std::size_t chain = work_.next.fetch_add(1);
      if (chain >= work_.chains) break;
      const auto row = operations_of(chain);
      while (!ring_.push_chain(row)) submit();
      // Several in one submission, now and then.
      if (chain % 4 == 1) continue;
      submit();
      if (fate_of(chain) == Fate::cancelled) cancel(chain);
      take(false);
    }
    submit();
    while (ring_.outstanding() != 0) take(true);
    wait_for_programs(0);
  }

 private:
  // Programs that have been started, and not waited for, by one thread.
  static constexpr std::size_t kMostPrograms = 8;

  struct Program {
    std::size_t chain;
    pid_t pid;
    Fd pidfd;
  };

  void submit() {
    while (!ring_.submit()) take(true);  // EBUSY
  }

  void cancel(std::size_t chain) {
    const auto done = ring_.cancel(tag_of(chain, 0));
    work_.entries[chain].cancelled = done ? 0 : done.error().code;
  }

  void take(bool wait) {
    Completion some[16];
    unsigned count = 0;
    if (!wait) {
      count = ring_.reap(some);
    } else if (polls_) {
      pollfd p{ring_.pollable(), POLLIN, 0};
      ::poll(&p, 1, kLookAgainMs);
      count = ring_.reap(some);
    } else {
      count = ring_.wait(some).value_or(0);  // EINTR
    }
    for (unsigned i = 0; i < count; ++i) note(some[i]);
    wait_for_programs(kMostPrograms);
  }

  void note(Completion& c) {
    const std::size_t chain = c.user_data / kOperations;
    const std::size_t operation = c.user_data % kOperations;
    Entry& e = work_.entries[chain];
    e.results[operation] = c.result;
    e.completions[operation].fetch_add(1);
    if (c.code == OperationCode::clone && c.result > 0) {
      programs_.push_back({chain, c.result, std::move(c.pidfd)});
    }
  }

  void wait_for_programs(std::size_t most) {
    while (programs_.size() > most) {
      const Program& program = programs_.front();
      Entry& e = work_.entries[program.chain];
      // By its number and by its pidfd, half of them each.
      const bool by_number = program.chain % 2 == 0 || !program.pidfd.valid();
      siginfo_t info{};
      int r;
      do {
        r = by_number ? ::waitid(P_PID, static_cast<id_t>(program.pid), &info, WEXITED)
                      : ::waitid(P_PIDFD, static_cast<id_t>(program.pidfd.get()), &info, WEXITED);
      } while (r != 0 && errno == EINTR);
      if (r == 0 && info.si_pid == program.pid) {
        e.status = info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : info.si_status;
        e.ended.fetch_add(1);
      }
      programs_.erase(programs_.begin());
    }
  }

  Work& work_;
  SpawnRing& ring_;
  const bool polls_;
  std::vector<Program> programs_;
};

// ---- The process before and after
// ------------------------------------------------------------------

std::size_t lines_of(const char* path) {
  std::ifstream file(path);
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

std::size_t count_threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

Result<SpawnRing> make_ring(const Kind& kind) {
  RingOptions options;
  options.backend = kind.backend;
  options.own_task = kind.own_task;
  return SpawnRing::create(options);
}

struct Soak {
  const char* name;
  Kind kind;
  bool one_ring;
};

void PrintTo(const Soak& soak, std::ostream* out) { *out << soak.name; }

class RingSoak : public testing::TestWithParam<Soak> {
 protected:
  void run(std::size_t spawns, std::size_t threads) {
    const Soak& soak = GetParam();
    Work work(spawns);
    {
      std::vector<SpawnRing> rings;
      while (rings.size() < (soak.one_ring ? 1 : threads)) {
        auto ring = make_ring(soak.kind);
        ASSERT_TRUE(ring) << ring.error().message();
        rings.push_back(std::move(*ring));
      }
      std::vector<std::jthread> workers;
      for (std::size_t i = 0; i < threads; ++i) {
        SpawnRing& ring = rings[i % rings.size()];
        const bool polls = soak.kind.own_task && i % 4 >= 2;
        workers.emplace_back([&work, &ring, polls, i] {
          const Nuisance nuisance(i % 2 == 0 ? SIGUSR1 : SIGUSR2);
          Worker(work, ring, polls).run();
        });
      }
    }
    long wrong = 0;
    for (std::size_t chain = 0; chain < spawns; ++chain) {
      const Entry& e = work.entries[chain];
      const std::string what = verdict(chain, e);
      if (what.empty() || ++wrong > 10) continue;
      ADD_FAILURE() << "chain " << chain << " of fate " << static_cast<int>(fate_of(chain)) << ": "
                    << what << "; results " << e.results[0] << " " << e.results[1] << " "
                    << e.results[2] << ", status " << e.status << ", ended " << e.ended.load()
                    << ", cancel " << e.cancelled.value_or(-1);
    }
    EXPECT_EQ(wrong, 0);
  }
};

TEST_P(RingSoak, LosesAndLeavesNothing) {
  const auto spawns = static_cast<std::size_t>(from_environment("PREWARM_SOAK_SPAWNS", kSpawns));
  const auto threads = static_cast<std::size_t>(from_environment("PREWARM_SOAK_THREADS", kThreads));
  const Handlers handlers;
  std::thread([] {}).join();  // with the first a sanitizer makes one of its own, which stays
  const std::size_t threads_before = count_threads();
  // What libc and a sanitizer keep for good comes with the first threads.
  run(threads * 16, threads);
  const auto descriptors = os::open_descriptors();
  const std::size_t mappings = lines_of("/proc/self/maps");

  run(spawns, threads);

  EXPECT_GT(handled.load(), 0);
  EXPECT_EQ(handled_elsewhere.load(), 0);
  EXPECT_TRUE(os::is_childless());
  EXPECT_EQ(os::open_descriptors(), descriptors);
  // A thread is listed for a moment after it has been joined.
  while (count_threads() > threads_before) std::this_thread::yield();
  if (PREWARM_SANITIZED)
    return;  // what a runtime keeps of mappings that are gone is its own business
  // libc keeps stacks, and memory that threads allocated from: some of them for each thread. If
  // anything were left of each chain it would be thousands.
  EXPECT_LE(lines_of("/proc/self/maps"), mappings + 8 * threads);
}

INSTANTIATE_TEST_SUITE_P(
    , RingSoak,
    testing::Values(Soak{"OneRing", {Backend::automatic, true}, true},
                    Soak{"OneRingWithoutTask", {Backend::automatic, false}, true},
                    Soak{"RingForEach", {Backend::automatic, true}, false},
                    Soak{"RingForEachWithoutTask", {Backend::automatic, false}, false},
                    Soak{"OneRingVfork", {Backend::vfork, false}, true},
                    Soak{"OneRingFork", {Backend::fork, true}, true}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace prewarm::cold
