// SPDX-License-Identifier: MIT
//
// Whole runs of short scripts, where starting up and learning must not cost more than they save.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "bench/cases.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kRoundsPerRound = 4;  // these rounds are short: more of them

// Ten commands, each once, with fixed output.
constexpr const char* kTenCommands = R"(cut -d: -f2 <<<'a:b'
sed -n 1p <<<'first'
grep -c x <<<'xyz'
tr a b <<<'banana'
sort <<<$'b\na'
head -c2 <<<'xyz'
date -u -d @0 +%F
uname -s
wc -l </dev/null
basename /some/where.sh .sh
)";
constexpr const char* kTenCommandsOutput =
    "b\nfirst\n1\nbbnbnb\na\nb\nxy1970-01-01\nLinux\n0\nwhere\n";

// Runs the script and checks what it writes.
os::Result<std::vector<double>> time_script(Processes& processes, const Command& command,
                                            const std::string& expected) {
  const auto outcome = processes.run(command);
  if (!outcome) return std::unexpected(outcome.error());
  if (outcome->output != expected) {
    return os::failed_with(0, "run",
                           fmt::format("{}: wrong output '{}'", command.argv[0], outcome->output));
  }
  return std::vector<double>{outcome->elapsed_us};
}

// Empties the cache directory before each run, so that each is the first ever.
Variant first_run_ever(const Session& session, const Command& command, const std::string& cache,
                       const std::string& expected) {
  return {"prewarm, first run", [&session, command, cache, expected] {
            std::error_code ignored;  // there may be none
            std::filesystem::remove_all(session.scratch_path(cache), ignored);
            return time_script(session.processes, command, expected);
          }};
}

Variant any_run(const Session& session, const std::string& name, const Command& command,
                const std::string& expected) {
  return {name, [&session, command, expected] {
            return time_script(session.processes, command, expected);
          }};
}

Plan script_plan(const Session& session) {
  Plan plan;
  plan.metrics = {"time of the whole run"};
  plan.sample = "one run";
  plan.rounds = session.options.rounds * (session.options.quick ? 1 : kRoundsPerRound);
  plan.warm_up = true;
  return plan;
}

os::Result<Measured> measure_ten_once(const Session& session) {
  const auto script = session.script("ten-once.sh", kTenCommands);
  if (!script) return std::unexpected(script.error());
  const std::string& prewarm = session.options.prewarm;
  const Command bash{.argv = {"bash", *script}, .env = session.environment("cache")};
  const Command first{.argv = {prewarm, "run", *script}, .env = session.environment("fresh-cache")};
  const Command later{.argv = {prewarm, "run", *script}, .env = session.environment("kept-cache")};
  Plan plan = script_plan(session);
  // The round that isn't counted is the one that later runs learn from.
  plan.variants = {any_run(session, "bash", bash, kTenCommandsOutput),
                   first_run_ever(session, first, "fresh-cache", kTenCommandsOutput),
                   any_run(session, "prewarm, later run", later, kTenCommandsOutput)};
  return interleave(session, plan);
}

os::Result<Measured> measure_empty(const Session& session) {
  const auto script = session.script("empty.sh", "");
  if (!script) return std::unexpected(script.error());
  const std::vector<std::string> env = session.environment("cache");
  Plan plan = script_plan(session);
  plan.variants = {any_run(session, "bash", {.argv = {"bash", *script}, .env = env}, ""),
                   any_run(session, "prewarm",
                           {.argv = {session.options.prewarm, "run", *script}, .env = env}, "")};
  return interleave(session, plan);
}

}  // namespace

std::vector<Case> script_cases() {
  return {{.name = "ten-once",
           .what = "a script of ten different commands, each once",
           .demands = {{DemandKind::time_at_most, "prewarm, first run", "bash", 1.05},
                       {DemandKind::time_at_most, "prewarm, later run", "bash", 1.0}},
           .measure = measure_ten_once},
          {.name = "empty",
           .what = "an empty script",
           .demands = {{DemandKind::excess_ms_at_most, "prewarm", "bash", 2}},
           .measure = measure_empty}};
}

}  // namespace prewarm::bench
