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
  const auto declared = tools.declare("[command.\"ready.py\"]\nprotocol = \"ready\"\n");
  if (!declared) return std::unexpected(declared.error());
  const std::string call = "\"$PREWARM\" call --no-batch ";
  return tools.measure(
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
           .measure = measure_request},
          {.name = "nailgun",
           .what = "a Java class: by nailgun's server and client, and by our pool and driver",
           .demands = {{DemandKind::time_at_most, "prewarm call", "nailgun", 1}},
           .measure = measure_nailgun}};
}

}  // namespace prewarm::bench
