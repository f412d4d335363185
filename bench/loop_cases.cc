// SPDX-License-Identifier: MIT
//
// A command in a loop of a shell script. The time of the loop is taken inside the script, by
// EPOCHREALTIME, so that the shell's start and end don't count. All shells run the same text.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include "bench/cases.h"

namespace prewarm::bench {
namespace {

constexpr double kRoundUs = 300'000;  // what a round should take bash
constexpr unsigned kTrial = 20;       // iterations to find out how many that are
constexpr unsigned kFewest = 10;
constexpr unsigned kMost = 3000;
constexpr unsigned kQuick = 3;
constexpr unsigned kWarmUp = 10;  // iterations before the measured ones

struct Loop {
  std::string name;
  std::string command;
  double floor = 0;          // prewarm faster than bash; 0: none
  int status = 0;            // of the command
  std::string program = {};  // which must be there
  bool only_bash = false;    // the text is not for other shells
  bool one_processor = false;
};

// Arguments: iterations before measuring, and measured ones. Prints start, end and the status that
// the command has, so that one which fails is not taken for a fast one.
constexpr const char* kScript = R"(i=0
while [ $i -lt $1 ]; do {0}; i=$((i + 1)); done
start=$EPOCHREALTIME
i=0
while [ $i -lt $2 ]; do {0}; i=$((i + 1)); done
end=$EPOCHREALTIME
{0}
echo "$start $end $?"
)";

std::string script_text(const std::string& command) {
  std::string text = kScript;
  for (std::size_t at = 0; (at = text.find("{0}", at)) != std::string::npos;) {
    text.replace(at, 3, command);
    at += command.size();
  }
  return text;
}

// µs of an EPOCHREALTIME, whose decimal point is the locale's.
std::optional<double> microseconds(std::string text) {
  std::erase_if(text, [](char c) { return c == '.' || c == ','; });
  const bool digits =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return std::nullopt;
  return std::stod(text);
}

struct LoopRun {
  std::vector<std::string> shell;  // the script follows
  std::string script;
  std::vector<std::string> env;
  unsigned iterations = 0;
  int status = 0;
  int processor = -1;
};

// µs per iteration.
os::Result<double> run_loop(Processes& processes, const LoopRun& run) {
  Command command{.argv = run.shell, .env = run.env, .processor = run.processor};
  const unsigned warm_up = std::min(kWarmUp, run.iterations);
  for (const std::string& word :
       {run.script, std::to_string(warm_up), std::to_string(run.iterations)}) {
    command.argv.push_back(word);
  }
  const auto outcome = processes.run(command);
  if (!outcome) return std::unexpected(outcome.error());

  std::istringstream words(outcome->output);
  std::string start_text;
  std::string end_text;
  int status = -1;
  words >> start_text >> end_text >> status;
  const auto start = microseconds(start_text);
  const auto end = microseconds(end_text);
  if (!start || !end) {
    return os::failed_with(0, "read the times of", run.shell[0] + ": '" + outcome->output + "'");
  }
  if (status != run.status) {
    return os::failed_with(0, "run",
                           fmt::format("the command: status {} instead of {}", status, run.status));
  }
  return (*end - *start) / run.iterations;
}

// The first processor that this process may run on.
int first_processor() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ::sched_getaffinity(0, sizeof allowed, &allowed);
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(static_cast<unsigned>(i), &allowed)) return i;
  }
  return 0;
}

os::Result<unsigned> choose_iterations(const Session& session, LoopRun run) {
  if (session.options.quick) return kQuick;
  session.progress.show("finding out how many iterations");
  run.iterations = kTrial;
  const auto each_us = run_loop(session.processes, run);
  if (!each_us) return std::unexpected(each_us.error());
  return static_cast<unsigned>(
      std::clamp(std::round(kRoundUs / *each_us), double{kFewest}, double{kMost}));
}

// Not every busybox's shell prefers the applets that are built in to the programs on PATH; one that
// doesn't is just another shell.
bool runs_applets(Processes& processes, const std::string& busybox) {
  return processes
      .run({.argv = {busybox, "ash", "-c", "cut -c1 /dev/null"}, .env = {"PATH=/dev/null"}})
      .has_value();
}

os::Result<Measured> measure_loop(const Session& session, const Loop& loop) {
  if (!loop.program.empty() && find_program(loop.program).empty()) {
    return Measured::skip(loop.program + " is not installed");
  }
  const auto script = session.script("loop.sh", script_text(loop.command));
  if (!script) return std::unexpected(script.error());
  LoopRun run{.shell = {"bash"},
              .script = *script,
              .env = session.environment("cache"),
              .status = loop.status,
              .processor = loop.one_processor ? first_processor() : -1};
  const auto iterations = choose_iterations(session, run);
  if (!iterations) {
    return os::failed_with(0, "measure", "bash: " + iterations.error().message());
  }
  run.iterations = *iterations;

  Plan plan;
  plan.metrics = {"time per iteration"};
  plan.sample = fmt::format("mean of {} iterations", *iterations);
  plan.rounds = session.options.rounds;
  plan.warm_up = !session.options.quick;
  const auto add = [&](const std::string& name, std::vector<std::string> shell) {
    run.shell = std::move(shell);
    plan.variants.push_back({name, [&session, run]() -> os::Result<std::vector<double>> {
                               const auto each_us = run_loop(session.processes, run);
                               if (!each_us) return std::unexpected(each_us.error());
                               return std::vector<double>{*each_us};
                             }});
  };
  add("bash", {"bash"});
  add("prewarm", {session.options.prewarm, "run"});
  const std::string busybox = find_program("busybox");
  if (loop.only_bash || busybox.empty()) return interleave(session, plan);
  if (runs_applets(session.processes, busybox)) {
    add("busybox", {busybox, "ash"});
  } else {
    plan.note =
        "without busybox, whose shell doesn't use its applets (that of busybox-static does)";
  }
  return interleave(session, plan);
}

std::vector<Loop> loops() {
  return {
      {.name = "cut", .command = "cut -c1 /dev/null", .floor = 5},
      {.name = "sed", .command = "sed -n 1p /dev/null", .floor = 4},
      {.name = "grep", .command = "grep -q x /dev/null", .floor = 3, .status = 1},
      {.name = "curl", .command = "curl --version >/dev/null", .floor = 3, .program = "curl"},
      {.name = "mktemp", .command = "x=$(mktemp -u)", .floor = 2.2},
      {.name = "pipeline", .command = "grep -q x </dev/null | tr a b | cut -d: -f2", .floor = 2.2},
      {.name = "cut-pinned", .command = "cut -c1 /dev/null", .floor = 1.8, .one_processor = true},
      {.name = "echo-cut", .command = "x=$(echo a.b | cut -d. -f2)"},
      {.name = "ls", .command = "ls >/dev/null"},
      {.name = "date", .command = "date +%s >/dev/null"},
      {.name = "cat", .command = "cat /dev/null"},
      {.name = "awk", .command = "awk 'BEGIN{}'", .program = "awk"},
      {.name = "python3", .command = "/usr/bin/python3 -c pass", .program = "/usr/bin/python3"},
      {.name = "while-read",
       .command =
           "printf '%s\\n' /a/b /c/d | while read -r f; do basename \"$f\"; done >/dev/null"},
      {.name = "here-string", .command = "head -c1 <<<x >/dev/null", .only_bash = true},
      {.name = "sort", .command = "LC_ALL=C sort /dev/null"},
      {.name = "true", .command = "/bin/true"},
  };
}

}  // namespace

std::vector<Case> loop_cases() {
  std::vector<Case> cases;
  for (const Loop& loop : loops()) {
    Case c{.name = loop.name,
           .what = "loop: " + loop.command + (loop.one_processor ? " (on one processor)" : ""),
           .demands = {},
           .measure = [loop](const Session& session) { return measure_loop(session, loop); }};
    if (loop.floor > 0) {
      c.demands.push_back({DemandKind::faster_at_least, "prewarm", "bash", loop.floor});
    }
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace prewarm::bench
