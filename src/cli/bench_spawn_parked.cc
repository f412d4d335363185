// SPDX-License-Identifier: MIT
//
// The warm rung, for comparison: the program has been started before, and is released. Looking for
// it along PATH, and whether what is parked is still what would be started, are part of a launch.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "cli/bench_spawn_ways.h"
#include "cli/locate.h"
#include "os/clock.h"

namespace prewarm::cli {
namespace {

constexpr unsigned kClones = 2;  // idle ones that the pool keeps
constexpr int kPatienceMs = 5000;
constexpr long kLookNs = 50'000;

std::unexpected<os::Error> refused(const char* operation, const SpawnTarget& target,
                                   launch::Reason why) {
  return os::failed_with(0, operation, target.name + ": " + launch::reason_text(why));
}

class ParkedWay : public SpawnWay {
 public:
  ParkedWay(const SpawnTarget& target, SpawnParking& parking, unsigned program)
      : target_(target),
        parking_(parking),
        program_(program),
        cwd_(os::move_above(os::Fd(::open(".", O_PATH | O_CLOEXEC)), kSpawnDescriptorFloor)),
        argv_{target_.name.data(), nullptr} {}

  // Waits until the pool has so many idle clones that it orders no more.
  os::Result<void> prepare() override {
    const park::Program& program = parking_.pool().table().programs[program_];
    const std::int64_t deadline = os::now_ns() + kPatienceMs * os::kNsPerMs;
    while (os::now_ns() < deadline) {
      unsigned idle = 0;
      for (const park::Slot& slot : program.slots) {
        idle += park::state_of(slot.state) == park::SlotState::idle;
      }
      if (idle + ((program.want.load() + 1) / 2) > program.want.load()) return {};
      // An order may have found no room: slots are free again only when their programs have ended.
      parking_.pool().refill(program_);
      const timespec pause{0, kLookNs};
      ::nanosleep(&pause, nullptr);
    }
    return os::failed_with(0, "wait for an idle clone", target_.name);
  }

  os::Result<void> start(unsigned count) override {
    for (unsigned i = 0; i < count; ++i) {
      if (auto done = launch_one(); !done) return done;
    }
    return {};
  }

 private:
  os::Result<void> launch_one() {
    static constexpr launch::Descriptor kDescriptors[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}};
    park::Pool& pool = parking_.pool();
    const std::string path = find_on_path(target_.name);
    pool.look_anew();
    if (const auto stale = pool.check_fresh(program_, environ); stale != launch::Reason::none) {
      return refused("launch", target_, stale);
    }
    const auto claim = pool.claim(program_, park::SlotKind::direct, kPatienceMs);
    if (!claim) return refused("claim", target_, claim.error());
    launch::LaunchRequest request;
    request.path = path.c_str();
    request.argv = argv_;
    request.env = environ;
    request.descriptors = kDescriptors;
    request.cwd = cwd_.get();
    if (!pool.release(*claim, request)) return os::failed_with(0, "release", target_.name);
    pool.refill(program_);
    return {};
  }

  SpawnTarget target_;
  SpawnParking& parking_;
  unsigned program_;
  os::Fd cwd_;
  char* argv_[2];
};

}  // namespace

os::Result<unsigned> SpawnParking::park(const SpawnTarget& target) {
  if (pool_ == nullptr) {
    park::PoolOptions options;
    options.agent_path = find_agent();
    options.more_directories = target.directory;
    options.descriptor_floor = kSpawnDescriptorFloor;
    if (options.agent_path.empty()) return os::failed_with(0, "find the agent");
    auto pool = park::Pool::create(std::move(options));
    if (!pool) return std::unexpected(pool.error());
    pool_ = std::move(*pool);
  }
  const std::string path = target.directory + "/" + target.name;
  if (const int known = pool_->find(path.c_str()); known >= 0) return known;
  const auto program = pool_->park(path.c_str(), environ, kClones, park::Isolation::clone);
  if (!program) return refused("park", target, program.error());
  if (!pool_->wait_parked(*program, kPatienceMs)) {
    return os::failed_with(0, "park", target.name + ": not parked in time");
  }
  // The first claim takes it over; only then is it known whether the agent has refused.
  const auto claim = pool_->claim(*program, park::SlotKind::direct, kPatienceMs);
  if (!claim) return refused("park", target, claim.error());
  pool_->give_back(*claim);
  return *program;
}

bool SpawnParking::was_started(pid_t pid, int status) {
  return pool_ == nullptr || pool_->note_ended(pid, status) != park::Ended::parked;
}

os::Result<std::unique_ptr<SpawnWay>> make_parked_way(const SpawnTarget& target,
                                                      SpawnParking& parking) {
  const auto program = parking.park(target);
  if (!program) return std::unexpected(program.error());
  return std::make_unique<ParkedWay>(target, parking, *program);
}

}  // namespace prewarm::cli
