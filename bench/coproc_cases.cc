// SPDX-License-Identifier: MIT
//
// Tools that stay: coprocesses and ready points against the same tools as batch processes. The
// loops are timed inside a script, by EPOCHREALTIME; each run has an owner of pools of its own,
// which is started before the loop and has ended when the script ends.
#include <fmt/format.h>

#include <filesystem>
#include <sstream>

#include "bench/cases.h"
#include "bench/coproc_request.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kInvocations = 1000;  // of what is warm,
constexpr unsigned kBatch = 25;          // and of what is not: they take long
constexpr unsigned kQuick = 3;
constexpr unsigned kPool = 20;
constexpr unsigned kRoundsPerCase = 5;

constexpr const char* kPython = "/usr/bin/python3";

// {loop} is repeated $1 times and timed. What a user's shell would have done before is done before:
// the first call starts the owner and a worker.
constexpr const char* kLoop = R"({first}
start=$EPOCHREALTIME
{loop}
end=$EPOCHREALTIME
started=$("$PREWARM" pool stats --json | grep -o '"started": [0-9]*' | grep -o '[0-9]*')
"$PREWARM" pool stop
echo "${start/[.,]/} ${end/[.,]/} ${started:-0}"
)";

std::string filled(std::string text, const std::string& name, const std::string& value) {
  const std::string mark = "{" + name + "}";
  for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size()) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

struct Run {
  std::string name;                // of the variant, and of its script
  std::vector<std::string> shell;  // the script follows
  std::string first;               // once before
  std::string loop;
  unsigned invocations;
  unsigned most_started = 0;  // workers; 0: none is expected
};

std::string repeated(const std::string& command) {
  return "for ((i = 0; i < $1; ++i)); do " + command + "; done >/dev/null";
}

class Tools {
 public:
  explicit Tools(const Session& session) : session_(session) {
    environment_ = session.environment("cache");
    environment_.push_back("PREWARM=" + session.options.prewarm);
    environment_.push_back("PREWARM_RUNTIME_DIR=" + session.scratch_path("runtime"));
    environment_.push_back("PREWARM_DECLARATIONS=" + session.scratch_path("declarations"));
  }

  unsigned warm() const { return session_.options.quick ? kQuick : kInvocations; }
  unsigned batch() const { return session_.options.quick ? kQuick : kBatch; }

  os::Result<std::string> executable(const std::string& name, const std::string& text) const {
    auto path = session_.script(name, text);
    std::error_code code;
    if (path) std::filesystem::permissions(*path, std::filesystem::perms(0755), code);
    return path;
  }

  os::Result<Variant> variant(Run run) const {
    auto script = session_.script(run.name + ".sh",
                                  filled(filled(kLoop, "first", run.first), "loop", run.loop));
    if (!script) return std::unexpected(script.error());
    Command command{.argv = run.shell, .env = environment_, .limit = std::chrono::seconds(300)};
    command.argv.push_back(*script);
    command.argv.push_back(std::to_string(run.invocations));
    const Session& session = session_;
    return Variant{run.name, [&session, command, run] { return measure(session, command, run); }};
  }

 private:
  // µs per invocation.
  static os::Result<std::vector<double>> measure(const Session& session, const Command& command,
                                                 const Run& run) {
    const auto outcome = session.processes.run(command);
    if (!outcome) return std::unexpected(outcome.error());
    std::istringstream words(outcome->output);
    double start = 0;
    double end = 0;
    unsigned started = 0;
    if (!(words >> start >> end >> started) || end <= start) {
      return os::failed_with(0, "read the times of", run.name + ": '" + outcome->output + "'");
    }
    // Else what was measured isn't what its name says.
    if (started > run.most_started || (started == 0) != (run.most_started == 0)) {
      return os::failed_with(
          0, "run",
          fmt::format("{} workers started, {} at most are expected", started, run.most_started));
    }
    return std::vector<double>{(end - start) / run.invocations};
  }

  const Session& session_;
  std::vector<std::string> environment_;
};

os::Result<Measured> measure_runs(const Session& session, const Tools& tools, std::vector<Run> runs,
                                  const std::string& note = {}) {
  Plan plan;
  plan.metrics = {"time per invocation"};
  plan.sample = "mean of a loop";
  plan.note = note;
  plan.rounds = session.options.quick ? 1 : kRoundsPerCase;
  for (Run& run : runs) {
    auto variant = tools.variant(std::move(run));
    if (!variant) return std::unexpected(variant.error());
    plan.variants.push_back(std::move(*variant));
  }
  return interleave(session, plan);
}

// The example: a copy of a file, by a tool with real imports.
os::Result<Measured> measure_python(const Session& session) {
  const Tools tools(session);
  const std::string tool = std::string(PREWARM_SOURCE_DIR) + "/examples/coproc/cloudcopy/cloudcopy";
  // With the interpreter that is the system's, whatever is first on PATH.
  const auto starter = tools.executable(
      "cloudcopy", fmt::format("#!{}\nimport runpy, sys\nsys.argv[0] = {:?}\n"
                               "runpy.run_path({:?}, run_name='__main__')  # prewarm.serve(\n",
                               kPython, tool, tool));
  if (!starter) return std::unexpected(starter.error());
  const auto declared = session.script("declarations",
                                       "[command.cloudcopy]\nprotocol = \"capers\"\n"
                                       "workers = 20\n");
  if (!declared) return std::unexpected(declared.error());
  const auto input = session.script("photo.jpg", "a photo\n");
  if (!input) return std::unexpected(input.error());
  const std::string arguments = fmt::format(" --endpoint file://{} {} //album/photo.jpg",
                                            session.scratch_path("cloud"), *input);
  const std::string call = "\"$PREWARM\" call --no-batch ";
  const std::string each = fmt::format(
      "yes //album/photo.jpg | head -n $1 | {}--each --pool {} --jobs {} {} --endpoint file://{} {}"
      " >/dev/null",
      call, kPool, kPool, *starter, session.scratch_path("cloud"), *input);
  const std::string warm = *starter + arguments + " >/dev/null";
  return measure_runs(session, tools,
                      {{"batch", {"bash"}, warm, repeated(*starter + arguments), tools.batch()},
                       {"prewarm call",
                        {"bash"},
                        call + warm,
                        repeated(call + *starter + arguments),
                        tools.warm(),
                        1},
                       {"prewarm run",
                        {session.options.prewarm, "run"},
                        warm,
                        repeated(*starter + arguments),
                        tools.warm(),
                        1},
                       {"call --each, 20 workers", {"bash"}, "", each, tools.warm(), kPool}});
}

constexpr const char* kImports = "import json, argparse, ssl, http.client, sqlite3\n";
constexpr const char* kBody =
    "parser = argparse.ArgumentParser()\n"
    "parser.add_argument('word')\n"
    "print(json.dumps(vars(parser.parse_args())))\n";

os::Result<Measured> measure_ready(const Session& session) {
  const Tools tools(session);
  const auto batch =
      tools.executable("plain.py", fmt::format("#!{}\n{}{}", kPython, kImports, kBody));
  if (!batch) return std::unexpected(batch.error());
  const auto ready = tools.executable(
      "ready.py",
      fmt::format("#!{}\nimport sys\nsys.path.insert(0, {:?})\nimport prewarm\n{}"
                  "prewarm.ready()\n{}",
                  kPython, std::string(PREWARM_SOURCE_DIR) + "/sdk/python", kImports, kBody));
  if (!ready) return std::unexpected(ready.error());
  const auto declared =
      session.script("declarations", "[command.\"ready.py\"]\nprotocol = \"ready\"\n");
  if (!declared) return std::unexpected(declared.error());
  const std::string call = "\"$PREWARM\" call --no-batch ";
  return measure_runs(
      session, tools,
      {{"batch", {"bash"}, *batch + " x >/dev/null", repeated(*batch + " x"), tools.batch()},
       {"prewarm call",
        {"bash"},
        call + *ready + " x >/dev/null",
        repeated(call + *ready + " x"),
        tools.warm() / 4 + 1,
        1},
       {"prewarm run",
        {session.options.prewarm, "run"},
        *ready + " x >/dev/null",
        repeated(*ready + " x"),
        tools.warm() / 4 + 1,
        1},
       {"call --preload",
        {"bash"},
        fmt::format("{}--preload json,argparse,ssl,http.client,sqlite3 {} {} x >/dev/null", call,
                    kPython, *batch),
        repeated(fmt::format("{}--preload json,argparse,ssl,http.client,sqlite3 {} {} x", call,
                             kPython, *batch)),
        tools.warm() / 4 + 1,
        1}});
}

}  // namespace

std::vector<Case> coproc_cases() {
  return {{.name = "coproc-python",
           .what = "a Python tool with real imports (examples/coproc/cloudcopy), 1,000 invocations",
           .demands = {{DemandKind::faster_at_least, "prewarm call", "batch", 20},
                       {DemandKind::faster_at_least, "prewarm run", "batch", 20},
                       {DemandKind::faster_at_least, "call --each, 20 workers", "batch", 20}},
           .measure = measure_python},
          {.name = "ready-python",
           .what = "python3 with json, argparse, ssl, http.client and sqlite3 imported",
           .demands = {{DemandKind::faster_at_least, "prewarm call", "batch", 8},
                       {DemandKind::faster_at_least, "prewarm run", "batch", 8},
                       {DemandKind::faster_at_least, "call --preload", "batch", 8}},
           .measure = measure_ready},
          {.name = "coproc-request",
           .what = "one request to an idle worker in C, by a driver in this process",
           .demands = {{DemandKind::time_at_most, "worker", "cold", 0.2},
                       {DemandKind::us_at_most, "worker", "worker", 60}},
           .measure = measure_request}};
}

}  // namespace prewarm::bench
