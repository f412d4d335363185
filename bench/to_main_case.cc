// SPDX-License-Identifier: MIT
//
// From a caller to the first instruction of main of a small dynamically linked program, launched in
// several ways, by a caller with hardly any memory and by one with much. See launch_caller.cc.
#include <fmt/format.h>

#include <memory>
#include <sstream>

#include "bench/cases.h"
#include "bench/conversation.h"
#include "measure/machine.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kRoundsPerRound = 3;
constexpr unsigned kLaunches = 10;  // per sample
constexpr unsigned kSlowLaunches = 2;
constexpr unsigned kManyMib = 1024;
constexpr unsigned kQuickMib = 16;
constexpr double kNsPerUs = 1000;
constexpr std::size_t kTimes = 3;  // per launch, see launch_caller.cc

struct Way {
  const char* name;   // for people
  const char* order;  // for the caller
  bool slow_with_memory = false;
};
constexpr Way kWays[] = {{"vfork", "vfork"},
                         {"posix_spawn", "posix_spawn"},
                         {"fork", "fork", true},
                         {"parked", "parked"},
                         {"parked, no pause", "parked-back-to-back"}};

os::Result<std::shared_ptr<Conversation>> start_caller(const Session& session, unsigned mib) {
  const std::string& directory = session.options.directory;
  auto caller = Conversation::start(
      session.processes,
      {.argv = {directory + "/prewarm-bench-caller", directory + "/../libprewarm-agent.so",
                directory + "/prewarm-bench-tiny", std::to_string(mib)},
       .env = session.environment("cache")});
  if (!caller) return std::unexpected(caller.error());
  return std::make_shared<Conversation>(std::move(*caller));
}

// Launches `count` times; the median of each time, in µs.
os::Result<std::vector<double>> time_launches(Conversation& caller, const std::string& way,
                                              unsigned count) {
  const auto answer = caller.ask(fmt::format("{} {}", way, count), count);
  if (!answer) return std::unexpected(answer.error());
  std::vector<std::vector<double>> times_us(kTimes);
  for (const std::string& line : *answer) {
    std::istringstream numbers(line);
    for (std::vector<double>& column : times_us) {
      double ns = 0;
      if (!(numbers >> ns)) return os::failed_with(0, "read the answer", line);
      column.push_back(ns / kNsPerUs);
    }
  }
  std::vector<double> medians;
  for (const std::vector<double>& column : times_us) medians.push_back(summarize(column).median);
  return medians;
}

void add_variants(Plan& plan, const std::shared_ptr<Conversation>& caller, const char* suffix,
                  bool much_memory, bool quick) {
  for (const Way& way : kWays) {
    const bool slow = quick || (much_memory && way.slow_with_memory);
    const unsigned count = slow ? kSlowLaunches : kLaunches;
    plan.variants.push_back({std::string(way.name) + suffix, [caller, way, count] {
                               return time_launches(*caller, way.order, count);
                             }});
  }
}

os::Result<Measured> measure_to_main(const Session& session) {
  const bool quick = session.options.quick;
  const unsigned mib = quick ? kQuickMib : kManyMib;
  Plan plan;
  plan.metrics = {"from the call to main", "caller blocked in the call",
                  "from the call to waitpid's return"};
  plan.sample = fmt::format("median of {} launches ({} of the slowest)",
                            quick ? kSlowLaunches : kLaunches, kSlowLaunches);
  plan.rounds = session.options.rounds * (quick ? 1 : kRoundsPerRound);
  plan.warm_up = true;
  if (quick) plan.note = fmt::format("{} MiB stand for 1 GiB", mib);
  session.progress.show("starting the callers");
  const auto small = start_caller(session, 0);
  if (!small) return std::unexpected(small.error());
  add_variants(plan, *small, "", false, quick);
  // Twice, because a fork copies what it touches later.
  if (measure::available_mib() >= 2 * mib) {
    const auto large = start_caller(session, mib);
    if (!large) return std::unexpected(large.error());
    add_variants(plan, *large, ", 1 GiB", true, quick);
  } else {
    plan.note = "too little memory for a caller with 1 GiB";
  }
  return interleave(session, plan);
}

}  // namespace

std::vector<Case> to_main_cases() {
  return {{.name = "to-main",
           .what = "launch of a small dynamically linked program, also by a caller with 1 GiB",
           .demands = {{DemandKind::faster_at_least, "parked", "vfork", 15},
                       {DemandKind::time_within, "parked, 1 GiB", "parked", 0.15}},
           .measure = measure_to_main}};
}

}  // namespace prewarm::bench
