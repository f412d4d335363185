// SPDX-License-Identifier: MIT
//
// Tools that stay: coprocesses and ready points against the same tools as batch processes. The
// loops are timed inside a script, by EPOCHREALTIME; each run has an owner of pools of its own,
// which is started before the loop and has ended when the script ends.
#include <fmt/format.h>

#include "bench/cases.h"
#include "bench/coproc_request.h"
#include "bench/nailgun_case.h"
#include "bench/pool_loop.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kPool = 20;
constexpr const char* kPython = "/usr/bin/python3";

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
  const auto declared = tools.declare(
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
  return tools.measure({{"batch", {"bash"}, warm, repeated(*starter + arguments), tools.batch()},
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

constexpr const char* kImports = "import sys, json, argparse, ssl, http.client, sqlite3\n";
// What the tool itself does is the same in all, and is kept small: its start is what is compared.
constexpr const char* kMain = "def main():\n    print(json.dumps(sys.argv[1:]))\n";
constexpr const char* kModules = "json,argparse,ssl,http.client,sqlite3";

// The same tool without and with a ready point.
struct ReadyTools {
  std::string plain;
  std::string ready;       // ends as any program
  std::string ready_main;  // prewarm.ready(main)
};

os::Result<ReadyTools> write_ready_tools(const Tools& tools) {
  const std::string head = fmt::format("#!{}\n", kPython);
  const std::string sdk = fmt::format("import sys\nsys.path.insert(0, {:?})\nimport prewarm\n",
                                      std::string(PREWARM_SOURCE_DIR) + "/sdk/python");
  const std::string body = std::string(kImports) + kMain;
  auto plain = tools.executable("plain.py", head + body + "main()\n");
  auto ready = tools.executable("ready.py", head + sdk + body + "prewarm.ready()\nmain()\n");
  auto ready_main = tools.executable("ready_main.py", head + sdk + body + "prewarm.ready(main)\n");
  for (const auto* file : {&plain, &ready, &ready_main}) {
    if (!*file) return std::unexpected(file->error());
  }
  return ReadyTools{*plain, *ready, *ready_main};
}

os::Result<Measured> measure_ready(const Session& session) {
  const Tools tools(session);
  const auto files = write_ready_tools(tools);
  if (!files) return std::unexpected(files.error());
  const auto served = [&session](const char* name, const std::string& tool) {
    return Served{name, tool, {session.options.prewarm, "adapt", "ready", "--", tool}};
  };
  return measure_requests(
      session, files->plain,
      {served("ready()", files->ready), served("ready(main)", files->ready_main)});
}

os::Result<Measured> measure_ready_calls(const Session& session) {
  const Tools tools(session);
  const auto files = write_ready_tools(tools);
  if (!files) return std::unexpected(files.error());
  const auto declared = tools.declare("[command.\"ready_main.py\"]\nprotocol = \"ready\"\n");
  if (!declared) return std::unexpected(declared.error());
  const std::string call = "\"$PREWARM\" call --no-batch ";
  const std::string preloaded =
      fmt::format("{}--preload {} {} {}", call, kModules, kPython, files->plain);
  const auto loop = [&tools](const char* name, const std::string& shell, const std::string& first,
                             const std::string& command) {
    std::vector<std::string> words{shell};
    if (shell != "bash") words.emplace_back("run");
    return PoolLoop{name, words, repeated(first), repeated(command), tools.warm() / 4 + 1, 1};
  };
  const std::string& prewarm = session.options.prewarm;
  return tools.measure(
      {{"batch", {"bash"}, files->plain + " >/dev/null", repeated(files->plain), tools.batch()},
       loop("prewarm call", "bash", call + files->ready_main, call + files->ready_main),
       loop("prewarm run", prewarm, files->ready_main, files->ready_main),
       loop("call --preload", "bash", preloaded, preloaded)});
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
           .what = "python3 with json, argparse, ssl, http.client and sqlite3 imported, at its "
                   "ready point; by a driver in this process",
           .demands = {{DemandKind::faster_at_least, "ready()", "cold", 8},
                       {DemandKind::faster_at_least, "ready(main)", "cold", 8}},
           .measure = measure_ready},
          {.name = "ready-calls",
           .what = "the same in a loop of a script",
           .demands = {},
           .measure = measure_ready_calls},
          {.name = "coproc-request",
           .what = "one request to an idle worker in C, by a driver in this process",
           .demands = {{DemandKind::time_at_most, "worker", "cold", 0.2},
                       {DemandKind::us_at_most, "worker", "worker", 60}},
           .measure = measure_request},
          {.name = "nailgun",
           .what = "a Java class: by nailgun's server and client, and by our pool and driver",
           .demands = {{DemandKind::time_at_most, "prewarm call", "nailgun", 1}},
           .measure = measure_nailgun}};
}

}  // namespace prewarm::bench
