// SPDX-License-Identifier: MIT
//
// For tests only: a pool, and what its parked processes are seen to do.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "launch/testing.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/testing.h"
#include "park/pool.h"

namespace prewarm::park {

// What a test launches is found in both, whether or not /bin is a link to /usr/bin.
inline constexpr char kTrue[] = "/usr/bin/true";
inline constexpr char kFalse[] = "/usr/bin/false";
inline constexpr char kCat[] = "/usr/bin/cat";
inline constexpr char kEnv[] = "/usr/bin/env";
inline constexpr char kPrintf[] = "/usr/bin/printf";
inline constexpr char kShell[] = "/bin/dash";

// The result of one launch: what it wrote, and its wait status.
struct Outcome {
  std::string text;
  int status = -1;
};

inline std::string exit_of(int status) {
  if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "none";
}
inline std::string exit_of(const Outcome& outcome) { return exit_of(outcome.status); }

class PoolFixture : public os::LeavesNothing {
 protected:
  void TearDown() override { pool_.reset(); }

  Pool& pool() { return *pool_; }
  bool has_pool() const { return pool_ != nullptr; }
  void drop_pool() { pool_.reset(); }

  static PoolOptions options() {
    PoolOptions usual;
    usual.agent_path = PREWARM_TEST_AGENT;
    usual.descriptor_floor = 100;  // as in a shell
    return usual;
  }
  void make_pool(PoolOptions options = PoolFixture::options()) {
    auto made = Pool::create(std::move(options));
    ASSERT_TRUE(made.has_value()) << made.error().message();
    pool_ = std::move(*made);
  }

  // The environment in which programs are parked.
  char* const* parking_env() {
    parking_pointers_ = launch::pointers_to(parking_env_);
    return parking_pointers_.data();
  }
  void set_parking_env(std::vector<std::string> env) { parking_env_ = std::move(env); }

  // Parks `path` and waits until it is parked and has `idle` clones.
  void park(const std::string& path, unsigned want, unsigned& program,
            Isolation isolation = Isolation::clone) {
    if (!pool_) make_pool();
    ASSERT_TRUE(pool_);
    const auto parked = pool_->park(path.c_str(), parking_env(), want, isolation);
    ASSERT_TRUE(parked.has_value()) << launch::reason_name(parked.error());
    program = *parked;
    ASSERT_TRUE(pool_->wait_parked(program, os::kBoundMs));
    ASSERT_EQ(state_of_program(program), ProgramState::parked)
        << launch::reason_name(static_cast<launch::Reason>(table(program).reason.load()));
    pool_->take_over_parked();
    const unsigned clones = table(program).clonable.load() != 0 ? want : 0;
    ASSERT_EQ(wait_idle(program, clones), clones);
  }

  const Program& table(unsigned program) const { return pool_->table().programs[program]; }
  ProgramState state_of_program(unsigned program) const {
    return static_cast<ProgramState>(table(program).state.load());
  }

  std::set<pid_t> idle_pids(unsigned program) const {
    std::set<pid_t> pids;
    for (const Slot& slot : table(program).slots) {
      if (state_of(slot.state) == SlotState::idle) pids.insert(slot.pid.load());
    }
    return pids;
  }

  // Waits until `count` clones are idle. How many are in the end: once there were claims, there may
  // be more than are wanted, because a zygote that is at work counts what is claimed as missing.
  unsigned wait_idle(unsigned program, unsigned count) const {
    const std::int64_t deadline = os::now_ns() + os::kBoundMs * os::kNsPerMs;
    for (;;) {
      unsigned idle = 0;
      const Slot* next = nullptr;
      std::uint32_t state = 0;
      for (const Slot& slot : table(program).slots) {
        const std::uint32_t s = slot.state.load();
        if (static_cast<SlotState>(s) == SlotState::idle) {
          ++idle;
        } else if (next == nullptr) {
          next = &slot;
          state = s;
        }
      }
      if (idle >= count || next == nullptr || os::now_ns() > deadline) return idle;
      // It may be another slot that changes, so not for long.
      os::futex_wait_for(next->state, state, 5 * os::kNsPerMs);
    }
  }

  Claim claim(unsigned program, SlotKind kind = SlotKind::direct, int wait_ms = os::kBoundMs) {
    const auto claimed = pool_->claim(program, kind, wait_ms);
    EXPECT_TRUE(claimed.has_value()) << launch::reason_name(claimed.error());
    return claimed.value_or(Claim{});
  }
  launch::Reason claim_error(unsigned program, SlotKind kind = SlotKind::direct, int wait_ms = 0) {
    const auto claimed = pool_->claim(program, kind, wait_ms);
    if (claimed) pool_->give_back(*claimed);
    return claimed ? launch::Reason::none : claimed.error();
  }

  // Waits for the end of a child of the pool and tells the pool.
  Ended reap(pid_t pid, int* status = nullptr) {
    const int s = os::wait_for(pid);
    EXPECT_NE(s, -1) << pid << " has not ended";
    if (status != nullptr) *status = s;
    return pool_->note_ended(pid, s);
  }

  // Waits until no clone is just being made. False: one never gets there.
  bool wait_settled(unsigned program) const {
    const std::int64_t deadline = os::now_ns() + os::kBoundMs * os::kNsPerMs;
    for (const Slot& slot : table(program).slots) {
      constexpr auto kParking = static_cast<std::uint32_t>(SlotState::parking);
      while (slot.state.load() == kParking) {
        if (os::now_ns() > deadline) return false;
        os::futex_wait_for(slot.state, kParking, os::kNsPerSecond);
      }
    }
    return true;
  }

  // Gives `request` the usual three descriptors, output and errors into `output`.
  static void use_pipe(launch::TestRequest& request, const os::Pipe& output, const os::Fd& input) {
    request.descriptors = {{input.get(), 0}, {output.write.get(), 1}, {output.write.get(), 2}};
  }

  // Releases what was claimed, waits for its end, and tells the pool.
  Outcome launch(const Claim& claimed, launch::TestRequest& request) {
    Outcome outcome;
    os::Pipe output = os::make_pipe();
    {
      const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
      if (request.descriptors.empty()) use_pipe(request, output, null);
      EXPECT_TRUE(pool_->release(claimed, request.get()));
    }
    output.write.reset();
    outcome.text = os::read_all(output.read.get());
    EXPECT_EQ(reap(claimed.pid, &outcome.status), Ended::launched);
    return outcome;
  }

  Outcome run(unsigned program, std::vector<std::string> argv) {
    launch::TestRequest request(std::move(argv));
    return launch(claim(program), request);
  }

 private:
  std::unique_ptr<Pool> pool_;
  std::vector<std::string> parking_env_{"PATH=/usr/bin:/bin"};
  std::vector<char*> parking_pointers_;
};

}  // namespace prewarm::park
