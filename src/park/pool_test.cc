// SPDX-License-Identifier: MIT
//
// The owner's side of a pool: what is parked, claimed, refilled and ended. How it all comes to an
// end is in pool_life_test.cc, what a released program sees in rungs_test.cc, launches for
// subshells are in brokered_test.cc.
#include "park/pool.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "os/process.h"
#include "park/testing.h"

namespace prewarm::park {
namespace {

using launch::Reason;
using launch::TestRequest;

class PoolTest : public PoolFixture {
 protected:
  // Sends a request to a clone that is dead by then, whether or not the pool has been told;
  // `output` was to be its standard output.
  void lose_request(unsigned program, const os::Fd& output, bool told) {
    const Claim claimed = claim(program);
    ::kill(claimed.pid, SIGKILL);
    ASSERT_TRUE(os::has_ended(os::watch(claimed.pid)));
    EXPECT_EQ(told ? reap(claimed.pid) : Ended::parked, Ended::parked);
    TestRequest request({"printf", "lost"});
    request.descriptors = {{output.get(), 1}};
    pool().release(claimed, request.get());
    EXPECT_FALSE(pool().wait_taken(claimed));
    EXPECT_EQ(told ? Ended::parked : reap(claimed.pid), Ended::parked);
    EXPECT_NE(pool().state(claimed), SlotState::running);
  }
};

// ---- Making one --------------------------------------------------------------------------------

TEST_F(PoolTest, NeedsTheAgent) {
  PoolOptions without = options();
  without.agent_path = "/nonexistent/agent.so";
  const auto made = Pool::create(without);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().message(), "use as agent /nonexistent/agent.so");
}

TEST_F(PoolTest, StartsEmpty) {
  make_pool();
  EXPECT_TRUE(pool().is_owner());
  EXPECT_EQ(pool().program_count(), 0U);
  EXPECT_EQ(pool().warm_count(), 0U);
  EXPECT_EQ(pool().find(kTrue), -1);
  EXPECT_EQ(pool().note_ended(::getpid(), 0), Ended::not_ours);
}

TEST_F(PoolTest, KeepsItsDescriptorsAboveTheFloorAndKnowsThem) {
  const std::set<int> before = os::open_descriptors();
  PoolOptions high = options();
  high.descriptor_floor = 500;
  make_pool(high);
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  unsigned own = 0;
  for (const int fd : os::open_descriptors()) {
    EXPECT_EQ(pool().owns_descriptor(fd), !before.contains(fd)) << fd;
    if (before.contains(fd)) continue;
    ++own;
    EXPECT_GE(fd, 500);
    EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC) << fd;
  }
  EXPECT_GE(own, 2 + kSlotsPerProgram);
  EXPECT_FALSE(pool().owns_descriptor(-1)) << "what is closed is no descriptor";
}

// The numbers that a parked program starts with may be those that the pool has them under.
TEST_F(PoolTest, NeedsNoFloorForItsDescriptors) {
  PoolOptions low = options();
  low.descriptor_floor = 0;
  // What this process has open moves the pool's numbers.
  std::vector<os::Fd> others;
  for (int i = 0; i < 4; ++i) {
    make_pool(low);
    const auto parked = pool().park(kTrue, parking_env(), 1, Isolation::clone);
    ASSERT_TRUE(parked.has_value());
    EXPECT_TRUE(pool().wait_parked(*parked, 2000)) << "with " << i << " others open";
    drop_pool();
    others.emplace_back(::dup(0));
  }
}

// ---- Parking -----------------------------------------------------------------------------------

TEST_F(PoolTest, KeepsAsManyIdleClonesAsAreWanted) {
  unsigned two = 0;
  unsigned four = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 2, two));
  EXPECT_EQ(pool().warm_count(), 3U) << "and their zygote";
  const auto parked = pool().park(kFalse, parking_env(), 1000, Isolation::clone);
  ASSERT_TRUE(parked.has_value());
  four = *parked;
  ASSERT_TRUE(pool().wait_parked(four, os::kBoundMs));
  EXPECT_EQ(wait_idle(four, 4), 4U);
  EXPECT_EQ(idle_pids(two).size(), 2U);
  EXPECT_EQ(idle_pids(four).size(), 4U) << "the most that are kept";
}

TEST_F(PoolTest, FindsWhatIsParkedByItsPath) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  EXPECT_EQ(pool().find(kTrue), static_cast<int>(program));
  EXPECT_STREQ(pool().program_path(program), kTrue);
  EXPECT_EQ(pool().find("/bin/true"), -1) << "another name of the same file";
  EXPECT_EQ(pool().find(kFalse), -1);
}

TEST_F(PoolTest, SaysWhyAProgramIsNotParked) {
  make_pool();
  const auto reason_for = [&](const char* path) {
    const auto parked = pool().park(path, parking_env(), 1, Isolation::clone);
    return parked ? Reason::none : parked.error();
  };
  EXPECT_EQ(reason_for("/usr/bin/nonexistent"), Reason::not_found);
  EXPECT_EQ(reason_for("/usr/bin/sudo"), Reason::denied);
  EXPECT_EQ(reason_for("/etc/passwd"), Reason::untrusted_directory);
  set_parking_env({"PATH=/bin", "LD_LIBRARY_PATH=/x"});
  EXPECT_EQ(reason_for(kTrue), Reason::library_path);
  EXPECT_EQ(pool().warm_count(), 0U);
  EXPECT_EQ(pool().find(kTrue), -1);
}

// Without the agent in it the program would run.
TEST_F(PoolTest, ParksNothingByAnAgentThatIsNone) {
  const os::TempDirectory temp;
  PoolOptions own = options();
  own.agent_path = temp / "libprewarm-agent.so";
  os::write_file(own.agent_path, "not a library\n");
  EXPECT_FALSE(Pool::create(own).has_value());
  std::filesystem::copy_file(PREWARM_TEST_AGENT, temp / "whole");
  std::filesystem::rename(temp / "whole", own.agent_path);
  make_pool(own);
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 1, program));
  const auto reason = [this] {
    const auto parked = pool().park(kTrue, parking_env(), 1, Isolation::clone);
    return parked ? Reason::none : parked.error();
  };
  os::write_file(temp / "none", "not a library\n");
  std::filesystem::rename(temp / "none", own.agent_path);
  EXPECT_EQ(reason(), Reason::agent_missing);
  std::filesystem::remove(own.agent_path);
  EXPECT_EQ(reason(), Reason::agent_missing);
}

TEST_F(PoolTest, StopsAtTheMostPrograms) {
  PoolOptions many = options();
  many.max_warm = 100000;
  make_pool(many);
  for (unsigned i = 0; i < kMaxPrograms; ++i) {
    ASSERT_TRUE(pool().park(kTrue, parking_env(), 0, Isolation::clone).has_value()) << i;
  }
  EXPECT_EQ(pool().park(kTrue, parking_env(), 0, Isolation::clone).error(), Reason::limit_reached);
  for (unsigned i = 0; i < kMaxPrograms; ++i) {
    EXPECT_TRUE(pool().wait_parked(i, os::kBoundMs)) << i;
  }
}

// The bound is on all parked processes: zygotes and clones, of programs parked one after the other
// or all at once, and also after claims have raised what is wanted.
TEST_F(PoolTest, NeverHasMoreParkedProcessesThanIsAllowed) {
  constexpr unsigned kMost = 6;
  PoolOptions few = options();
  few.max_warm = kMost;
  make_pool(few);
  std::vector<unsigned> programs;
  for (const char* path : {kTrue, kFalse, kCat, kEnv, kPrintf}) {
    const auto parked = pool().park(path, parking_env(), 4, Isolation::clone);
    EXPECT_EQ(parked ? Reason::limit_reached : parked.error(), Reason::limit_reached);
    if (parked) programs.push_back(*parked);
  }
  ASSERT_FALSE(programs.empty());
  unsigned most = 0;
  for (const unsigned program : programs) {
    ASSERT_TRUE(pool().wait_parked(program, os::kBoundMs));
    // A launch of each, which also gives the zygotes time to make what they would make.
    pool().take_over_parked();
    if (const auto claimed = pool().claim(program, SlotKind::direct, 1000)) {
      TestRequest request({kTrue});
      EXPECT_EQ(WTERMSIG(launch(*claimed, request).status), 0);
      pool().refill(program);
    }
    most = std::max(most, pool().warm_count());
  }
  EXPECT_LE(most, kMost);
  EXPECT_LE(pool().warm_count(), kMost);
}

// ---- What a parked process shows ---------------------------------------------------------------

TEST_F(PoolTest, AParkedProcessHoldsNothingButItsOwnSockets) {
  PoolOptions high = options();
  high.descriptor_floor = 600;
  make_pool(high);
  const os::Pipe stray = os::make_pipe();
  const os::Fd inheritable(::dup(stray.read.get()));
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 2, program));
  const std::string zygote = std::to_string(table(program).pid.load());
  for (const int fd : os::open_descriptors(zygote)) {
    struct stat s{};
    ASSERT_EQ(::stat(("/proc/" + zygote + "/fd/" + std::to_string(fd)).c_str(), &s), 0);
    EXPECT_TRUE(S_ISSOCK(s.st_mode)) << fd;
    EXPECT_GE(fd, 3) << fd;
  }
  for (const pid_t pid : idle_pids(program)) {
    const std::set<int> open = os::open_descriptors(std::to_string(pid));
    ASSERT_EQ(open.size(), 1U);
    const std::string link =
        "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(*open.begin());
    EXPECT_TRUE(std::filesystem::read_symlink(link).string().starts_with("socket:")) << link;
  }
}

TEST_F(PoolTest, AParkedProcessSaysThatItIsOne) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 1, program));
  for (const pid_t pid : {table(program).pid.load(), *idle_pids(program).begin()}) {
    const std::string proc = "/proc/" + std::to_string(pid);
    EXPECT_EQ(os::read_file(proc + "/comm"), "prewarm-parked\n");
    const std::string line = os::read_file(proc + "/cmdline");
    EXPECT_TRUE(line.starts_with(std::string("prewarm-parked\0", 15))) << line;
    EXPECT_EQ(std::filesystem::read_symlink(proc + "/cwd"), "/");
    EXPECT_EQ(std::filesystem::read_symlink(proc + "/exe"), kCat);
  }
}

TEST_F(PoolTest, AParkedProcessIsAChildOfTheOwnerAndOutlivesSignals) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 1, program));
  const pid_t pid = *idle_pids(program).begin();
  const std::string status = os::read_file("/proc/" + std::to_string(pid) + "/status");
  EXPECT_NE(status.find("\nPPid:\t" + std::to_string(::getpid()) + "\n"), std::string::npos);
  for (const int sig : {SIGWINCH, SIGURG, SIGCHLD, SIGTSTP, SIGCONT}) ::kill(pid, sig);
  EXPECT_FALSE(os::has_ended(os::watch(pid), 0));
  const Claim claimed = claim(program);
  EXPECT_EQ(claimed.pid, pid);
  TestRequest request({kPrintf, "alive"});
  const Outcome o = launch(claimed, request);
  EXPECT_EQ(o.text, "alive");
  EXPECT_EQ(exit_of(o), "exit 0");
}

// Whether the signal came before the launch or after it, only the launcher can find out.
TEST_F(PoolTest, WithASignalPendingNoRequestIsTaken) {
  for (const bool before : {true, false}) {
    unsigned program = 0;
    ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
    EXPECT_EQ(pool().interrupted(program), 0U);
    TestRequest request({"true"});
    const pid_t pid = *idle_pids(program).begin();
    ::kill(pid, before ? SIGUSR1 : SIGSTOP);
    const Claim claimed = claim(program);
    ASSERT_TRUE(pool().release(claimed, request.get()));
    if (!before) {
      ::kill(pid, SIGUSR1);
      ::kill(pid, SIGCONT);
    }
    EXPECT_EQ(reap(pid), Ended::parked);
    EXPECT_EQ(pool().interrupted(program), launch::signal_bit(SIGUSR1));
    EXPECT_EQ(exit_of(run(program, {"true"})), "exit 0");
    drop_pool();
  }
}

TEST_F(PoolTest, ASignalThatTheProgramIgnoresOrBlocksIsNoMatter) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 1, program));
  for (const int sig : {SIGUSR1, SIGTERM}) ::kill(*idle_pids(program).begin(), sig);
  TestRequest request({"cat", "/proc/self/status"});
  request.signal_ignored = launch::signal_bit(SIGUSR1);
  request.signal_mask = launch::signal_bit(SIGTERM);
  const Outcome o = launch(claim(program), request);
  EXPECT_NE(o.text.find("ShdPnd:\t0000000000000000"), std::string::npos) << o.text;
}

// The 16 bytes that the kernel gave the program as its source of seeds.
std::string random_bytes_of(pid_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  const std::string auxv = os::read_file(proc + "/auxv");
  std::string bytes(16, '\0');
  for (std::size_t at = 0; at + 16 <= auxv.size(); at += 16) {
    std::uint64_t entry[2];
    std::memcpy(entry, auxv.data() + at, sizeof entry);
    if (entry[0] != 25 /* AT_RANDOM */) continue;
    const os::Fd memory(::open((proc + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
    if (::pread(memory.get(), bytes.data(), 16, static_cast<off_t>(entry[1])) == 16) return bytes;
  }
  return {};
}

TEST_F(PoolTest, EachCloneHasRandomnessOfItsOwn) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 3, program));
  std::set<std::string> seen{random_bytes_of(table(program).pid.load())};
  if (seen.contains("")) GTEST_SKIP() << "may not look into other processes here";
  for (const pid_t pid : idle_pids(program)) seen.insert(random_bytes_of(pid));
  EXPECT_EQ(seen.size(), 4U);
}

// ---- Claims ------------------------------------------------------------------------------------

TEST_F(PoolTest, EachClaimIsAnotherProcess) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 4, program));
  std::set<pid_t> pids;
  std::vector<Claim> claims;
  for (;;) {
    const auto claimed = pool().claim(program, SlotKind::direct, 0);
    if (!claimed) {
      EXPECT_EQ(claimed.error(), Reason::pool_busy);
      break;
    }
    claims.push_back(*claimed);
    ASSERT_TRUE(pids.insert(claimed->pid).second);
    EXPECT_EQ(pool().state(*claimed), SlotState::claimed);
  }
  EXPECT_GE(claims.size(), 4U);
  EXPECT_LE(claims.size(), kSlotsPerProgram);
  for (const Claim& c : claims) {
    TestRequest request({kTrue});
    EXPECT_EQ(exit_of(launch(c, request)), "exit 0");
    EXPECT_NE(pool().state(c), SlotState::claimed);
  }
}

TEST_F(PoolTest, AClaimWaitsForACloneThatIsMadeOnDemand) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const Claim first = claim(program);
  const Claim second = claim(program);
  EXPECT_NE(first.pid, second.pid);
  TestRequest request({kTrue});
  EXPECT_EQ(exit_of(launch(second, request)), "exit 0");
  EXPECT_EQ(exit_of(launch(first, request)), "exit 0");
}

TEST_F(PoolTest, ManyLaunchesInARowOutnumberTheIdleClones) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 2, program));
  std::set<pid_t> pids;
  for (int i = 0; i < 100; ++i) {
    const Claim claimed = claim(program);
    pids.insert(claimed.pid);
    TestRequest request({"printf", "%s", std::to_string(i)});
    const Outcome o = launch(claimed, request);
    EXPECT_EQ(o.text, std::to_string(i));
    EXPECT_EQ(exit_of(o), "exit 0");
  }
  EXPECT_EQ(pids.size(), 100U) << "no process serves twice";
}

TEST_F(PoolTest, RefillMakesUpForLaunches) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 3, program));
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 3; ++i) run(program, {"true"});
    pool().refill(program);
    // No order is given for less than half.
    EXPECT_GE(wait_idle(program, 2), 2U);
  }
}

TEST_F(PoolTest, WhatIsGivenBackCanBeClaimedAgain) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const Claim first = claim(program);
  pool().give_back(first);
  const Claim second = claim(program, SlotKind::direct, 0);
  EXPECT_EQ(second.pid, first.pid);
  TestRequest request({kTrue});
  EXPECT_EQ(exit_of(launch(second, request)), "exit 0");
}

// ---- Ends --------------------------------------------------------------------------------------

TEST_F(PoolTest, PassesOnHowAProgramEnds) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kShell, 2, program));
  EXPECT_EQ(exit_of(run(program, {"sh", "-c", "exit 0"})), "exit 0");
  EXPECT_EQ(exit_of(run(program, {"sh", "-c", "exit 203"})), "exit 203");
  EXPECT_EQ(exit_of(run(program, {"sh", "-c", "kill -TERM $$"})), "signal 15");
  EXPECT_EQ(exit_of(run(program, {"sh", "-c", "kill -KILL $$"})), "signal 9");
}

TEST_F(PoolTest, AKilledIdleCloneIsReplaced) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 2, program));
  const std::set<pid_t> before = idle_pids(program);
  for (const pid_t pid : before) {
    ::kill(pid, SIGKILL);
    EXPECT_EQ(reap(pid), Ended::parked);
    EXPECT_EQ(pool().note_ended(pid, 0), Ended::not_ours) << "it has been told";
  }
  pool().refill(program);
  ASSERT_GE(wait_idle(program, 2), 2U);
  for (const pid_t pid : idle_pids(program)) EXPECT_FALSE(before.contains(pid));
  EXPECT_EQ(run(program, {"printf", "again"}).text, "again");
}

// Killed before it could say that it is there, which takes a debugger to arrange.
TEST_F(PoolTest, ACloneThatIsKilledWhileItIsMadeIsReplaced) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const pid_t zygote = table(program).pid.load();
  const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE;
  if (::ptrace(PTRACE_SEIZE, zygote, nullptr, reinterpret_cast<void*>(options)) != 0) {
    GTEST_SKIP() << "may not trace other processes here";
  }
  const pid_t idle = *idle_pids(program).begin();
  ::kill(idle, SIGKILL);
  EXPECT_EQ(reap(idle), Ended::parked);
  pool().refill(program);
  int status = 0;
  ASSERT_EQ(::waitpid(zygote, &status, __WALL), zygote);
  ASSERT_TRUE(WIFSTOPPED(status));
  unsigned long made = 0;
  ASSERT_EQ(::ptrace(PTRACE_GETEVENTMSG, zygote, nullptr, &made), 0);
  const auto pid = static_cast<pid_t>(made);
  ::kill(pid, SIGKILL);
  EXPECT_EQ(reap(pid), Ended::parked);
  EXPECT_EQ(::ptrace(PTRACE_DETACH, zygote, nullptr, nullptr), 0);
  pool().refill(program);
  EXPECT_EQ(exit_of(run(program, {"true"})), "exit 0");
  EXPECT_TRUE(wait_settled(program)) << "a slot that nobody will ever fill";
}

// Nobody has told the pool yet that the clone has died.
TEST_F(PoolTest, AClaimOfADeadCloneIsNotTaken) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 1, program));
  ::kill(*idle_pids(program).begin(), SIGKILL);
  ASSERT_TRUE(os::has_ended(os::watch(*idle_pids(program).begin())));
  const Claim claimed = claim(program);
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  TestRequest request({"printf", "never"});
  request.descriptors = {{null.get(), 1}};
  pool().release(claimed, request.get());
  EXPECT_FALSE(pool().wait_taken(claimed));
  EXPECT_EQ(reap(claimed.pid), Ended::parked);
}

// The request of a clone that died first lies in the socket of its slot: its successor must not
// take it for its own.
TEST_F(PoolTest, TheRequestOfADeadCloneIsNotRunByTheNext) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 1, program));
  const os::Pipe lost = os::make_pipe();
  for (int i = 0; i < 3; ++i) {
    ASSERT_NO_FATAL_FAILURE(lose_request(program, lost.write, i == 1));
    pool().refill(program);
    ASSERT_GE(wait_idle(program, 1), 1U);
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(run(program, {"printf", "mine"}).text, "mine");
  EXPECT_FALSE(os::wait_readable(lost.read.get(), 0)) << "a lost request was run";
}

// Nor may it keep open what was to be inherited: somebody waits for the end of that pipe.
TEST_F(PoolTest, TheDescriptorsOfALostRequestAreClosed) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 1, program));
  for (int i = 0; i < 4; ++i) {
    os::Pipe lost = os::make_pipe();
    ASSERT_NO_FATAL_FAILURE(lose_request(program, lost.write, false));
    pool().refill(program);
    lost.write.reset();
    EXPECT_TRUE(os::wait_readable(lost.read.get(), 2000)) << "no end of file, round " << i;
  }
}

// Also if the pool knew of the clone's end before the request was sent, as when a subshell sends
// it.
TEST_F(PoolTest, TheDescriptorsOfARequestThatCameTooLateAreClosed) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kPrintf, 1, program));
  for (int i = 0; i < 10; ++i) {
    os::Pipe lost = os::make_pipe();
    ASSERT_NO_FATAL_FAILURE(lose_request(program, lost.write, true));
    pool().refill(program);
    lost.write.reset();
    EXPECT_TRUE(os::wait_readable(lost.read.get(), 2000)) << "no end of file, round " << i;
  }
}

TEST_F(PoolTest, ATakenLaunchIsALaunchHoweverItEnds) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kCat, 1, program));
  const os::Pipe input = os::make_pipe();
  const os::Pipe output = os::make_pipe();
  const Claim claimed = claim(program);
  TestRequest request({"cat"});
  use_pipe(request, output, input.read);
  ASSERT_TRUE(pool().release(claimed, request.get()));
  EXPECT_TRUE(pool().wait_taken(claimed));
  EXPECT_EQ(pool().state(claimed), SlotState::running);
  ::kill(claimed.pid, SIGKILL);
  int status = 0;
  EXPECT_EQ(reap(claimed.pid, &status), Ended::launched);
  EXPECT_EQ(exit_of(status), "signal 9");
}

TEST_F(PoolTest, WithoutItsZygoteAProgramIsGone) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const pid_t zygote = table(program).pid.load();
  ::kill(zygote, SIGKILL);
  EXPECT_EQ(reap(zygote), Ended::parked);
  EXPECT_EQ(claim_error(program), Reason::died);
  EXPECT_EQ(pool().find(kTrue), -1);
  unsigned again = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, again));
  EXPECT_EQ(pool().find(kTrue), static_cast<int>(again));
  EXPECT_EQ(exit_of(run(again, {"true"})), "exit 0");
}

// ---- Requests that can't be sent ---------------------------------------------------------------

TEST_F(PoolTest, AClaimIsGivenUpIfItsRequestIsTooLarge) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const Claim claimed = claim(program);
  TestRequest request({"true"});
  for (unsigned i = 0; i <= launch::kMaxOperations; ++i) {
    request.set_up.push_back(launch::set_up_close(9));
  }
  EXPECT_FALSE(pool().release(claimed, request.get()));
  EXPECT_FALSE(pool().wait_taken(claimed));
  EXPECT_EQ(reap(claimed.pid), Ended::parked);
}

TEST_F(PoolTest, AClaimIsGivenUpIfItHasTooManyDescriptors) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const Claim claimed = claim(program);
  TestRequest request({"true"});
  std::vector<char> bytes;
  ASSERT_TRUE(launch::write_request(request.get(), claimed.generation, bytes));
  const std::vector<int> many(launch::kMaxDescriptors + 2, request.cwd.get());
  EXPECT_FALSE(pool().release_bytes(claimed, bytes, many));
  EXPECT_TRUE(os::has_ended(os::watch(claimed.pid), 2000)) << "nobody else can give it up";
  ::kill(claimed.pid, SIGKILL);
  EXPECT_EQ(reap(claimed.pid), Ended::parked);
}

TEST_F(PoolTest, AClaimIsGivenUpIfADescriptorIsNotOpen) {
  unsigned program = 0;
  ASSERT_NO_FATAL_FAILURE(park(kTrue, 1, program));
  const Claim claimed = claim(program);
  TestRequest request({"true"});
  request.descriptors = {{900, 0}};
  ASSERT_FALSE(os::is_open(900));
  EXPECT_FALSE(pool().release(claimed, request.get()));
  EXPECT_FALSE(pool().wait_taken(claimed));
  EXPECT_EQ(reap(claimed.pid), Ended::parked);
}

}  // namespace
}  // namespace prewarm::park
