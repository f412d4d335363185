// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "cli/bench_deps.h"
#include "cli/bench_deps_ways.h"
#include "cli/bench_spawn.h"
#include "cli/bench_spawn_caller.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/image_options.h"
#include "cli/nailgun.h"
#include "cli/pool.h"
#include "prewarm_config.h"

namespace prewarm::cli {

void complain(const std::string& text) { std::fprintf(stderr, "prewarm: %s\n", text.c_str()); }

namespace {

struct PoolOptions {
  bool background = false;
  bool json = false;
  std::string program;
};

// What all subcommands are told; each has its own part.
struct CommandLine {
  RunOptions run;
  std::string script;
  std::vector<std::string> programs;
  bool json = false;
  CallOptions call;
  PoolOptions pool;
  NailgunListenOptions nailgun;
  BenchSpawnOptions bench;
  BenchDepsOptions bench_deps;
  SpawnCallerOptions caller;
  AdaptOptions adapt;
  ExecOptions exec;
  ImageOptions image;
};

void add_run(CLI::App& app, RunOptions& options) {
  auto* run = app.add_subcommand("run", "Run a bash script with its commands launched warm");
  run->footer(
      "Everything after SCRIPT goes to the script. Without SCRIPT it is read from standard "
      "input.");
  // The first argument that isn't an option of ours ends them: the rest is the script's.
  run->prefix_command();
  run->allow_extras();
  run->add_flag("--stats", options.stats, "End with a table of launches, reasons and time saved");
  run->add_option("--stats-json", options.stats_json, "Write the same as JSON to FILE")
      ->type_name("FILE");
  run->add_flag("--no-learn", options.no_learn, "Neither use nor keep a profile of this script");
  run->add_option("--max-warm", options.max_warm, "Processes parked at any time, at most")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  run->add_option_function<std::string>(
         "--isolation",
         [&options](const std::string& mode) { options.exec_isolation = mode == "exec"; },
         "clone: parked processes are clones of one; exec: each is exec'd on its own")
      ->type_name("clone|exec")
      ->check(CLI::IsMember({"clone", "exec"}));
  run->add_flag("--bash", options.any_interpreter, "Run by bash whatever the first line says");
  run->add_flag("-c", options.is_command, "Run the next argument as commands");
  run->callback([run, &options] { options.arguments = run->remaining(); });
}

void add_plan(CLI::App& app, std::string& script, bool& json) {
  auto* plan = app.add_subcommand("plan", "Show what would be parked for a script, and why not");
  plan->add_option("SCRIPT", script, "The bash script to look at")->required();
  plan->add_flag("--json", json, "Print JSON");
}

void add_doctor(CLI::App& app, std::vector<std::string>& programs, bool& json) {
  auto* doctor =
      app.add_subcommand("doctor", "Check the system, and programs' cold and warm starts");
  doctor->add_option("PROGRAM", programs, "Programs to check and measure");
  doctor->add_flag("--json", json, "Print JSON");
}

void add_call(CLI::App& app, CallOptions& options) {
  auto* call =
      app.add_subcommand("call", "Run a tool by one of its workers, which are started on demand");
  call->footer(
      "Everything after TOOL goes to the tool. What is no worker, or can't be served, runs as an "
      "ordinary process. The status is the tool's; 124: its time was over; 125: prewarm failed; "
      "126, 127: TOOL can't be run, or was not found.");
  call->prefix_command();
  call->allow_extras();
  call->add_option("--pool", options.pool, "Workers of this tool, at most")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  call->add_option("--affinity", options.affinity, "Prefer the worker that served the same KEY")
      ->type_name("KEY");
  call->add_option("--timeout", options.timeout, "End the tool after that many seconds")
      ->type_name("S")
      ->check(CLI::PositiveNumber);
  call->add_option("--preload", options.preload,
                   "TOOL is a Python interpreter: hold one that has imported MODULES, and fork it")
      ->type_name("MODULES");
  call->add_option("--declarations", options.declarations,
                   "How tools are started, see prewarm-coprocesses(5)")
      ->type_name("FILE");
  call->add_flag("!--no-batch", options.batch, "Fail rather than run TOOL as an ordinary process");
  call->add_flag("--explain", options.explain, "Say on standard error how it was run, and why");
  call->add_flag("--each", options.each,
                 "Run once for each line of standard input, with that as the last argument");
  call->add_flag("-0,--null", options.null_ends, "With --each: NUL ends an argument, not newline");
  call->add_option("-j,--jobs", options.jobs, "With --each: so many at a time")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  call->add_flag_callback(
      "--progress", [&options] { options.each = options.progress = true; },
      "--each, and show how far it is, on a terminal");
  call->callback([call, &options] { options.command = call->remaining(); });
}

void add_pool(CLI::App& app, PoolOptions& options) {
  auto* pool = app.add_subcommand("pool", "Look at the pools of workers, and stop them");
  pool->require_subcommand(1);
  auto* list = pool->add_subcommand("list", "The workers");
  list->add_flag("--json", options.json, "Print JSON");
  auto* stats = pool->add_subcommand("stats", "What the pools have done");
  stats->add_flag("--json", options.json, "Print JSON");
  auto* stop = pool->add_subcommand("stop", "End workers when they have answered");
  stop->add_option("PROGRAM", options.program,
                   "Those of this program only; else all, and the owner");
  auto* serve = pool->add_subcommand("serve", "Be the owner of this user's pools");
  serve->add_flag("--background", options.background, "Return as soon as it serves");
}

int run_pool(const CLI::App& app, const PoolOptions& options) {
  const auto* pool = app.get_subcommand("pool");
  if (pool->got_subcommand("list")) return pool_list(options.json);
  if (pool->got_subcommand("stats")) return pool_stats(options.json);
  if (pool->got_subcommand("stop")) return pool_stop(options.program);
  return pool_serve(options.background);
}

void add_nailgun(CLI::App& app, NailgunListenOptions& options) {
  auto* nailgun = app.add_subcommand(
      "nailgun", "Listen for nailgun's clients, and have workers run their commands");
  nailgun->footer("ADDRESS is PORT, HOST:PORT with a host of this machine, or local:PATH.");
  nailgun->add_option("--listen", options.address, "Where to listen")
      ->type_name("ADDRESS")
      ->capture_default_str();
  nailgun
      ->add_option("--idle-seconds", options.idle_seconds,
                   "End after so long without a client; 0: never")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(0, 86'400 * 30));
}

void add_bench_spawn(CLI::App& bench, BenchSpawnOptions& options) {
  auto* spawn = bench.add_subcommand(
      "spawn", "What it costs to start a program: fork, vfork, posix_spawn, and prewarm's ways");
  spawn->add_option("--html", options.html, "Write a page with plots to FILE")->type_name("FILE");
  spawn
      ->add_option("--json", options.json,
                   "Write JSON to FILE; - is standard output, instead of tables")
      ->type_name("FILE");
  spawn->add_option("--runs", options.runs, "How often each way starts each program")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  spawn->add_flag("--quick", options.quick,
                  "Only try everything, in seconds; the figures mean nothing");
}

void add_bench_deps_shape(CLI::App& deps, DepsShape& shape) {
  const auto number = [&deps](const char* name, unsigned& value, unsigned from, unsigned to,
                              const char* text) {
    deps.add_option(name, value, text)
        ->type_name("N")
        ->capture_default_str()
        ->check(CLI::Range(from, to));
  };
  number("--libs", shape.libs, 1, kMostDepsLibs, "Libraries");
  number("--funcs", shape.functions, 2, 1000, "Functions of each");
  deps.add_option_function<std::string>(
          "--graph",
          [&shape](const std::string& name) {
            for (const DepsGraph graph : {DepsGraph::star, DepsGraph::chain, DepsGraph::dag}) {
              if (name == graph_name(graph)) shape.graph = graph;
            }
          },
          "star: the program needs all; chain: each needs the one before it; dag (usual): each "
          "needs some of those before it")
      ->type_name("star|chain|dag")
      ->check(CLI::IsMember({"star", "chain", "dag"}));
  number("--deps", shape.deps, 1, kMostDeps, "Libraries that each needs, of a dag");
  deps.add_flag("--cxx", shape.cxx, "C++: classes, exceptions, constructors, vague linkage");
  deps.add_flag("--tls", shape.tls, "A thread-local variable in each");
  deps.add_flag("--versions", shape.versions, "Symbols have versions");
  deps.add_option("--max-page-size", shape.max_page_size, "Linked for pages of so many bytes")
      ->type_name("BYTES")
      ->check(CLI::IsMember({4096, 16'384, 65'536, 2'097'152}));
}

void add_bench_deps(CLI::App& bench, BenchDepsOptions& options) {
  auto* deps = bench.add_subcommand(
      "deps", "What it costs to start a program that needs many libraries, and its memory");
  add_bench_deps_shape(*deps, options.shape);
  const auto number = [deps](const char* name, unsigned& value, unsigned from, unsigned to,
                             const char* text) {
    deps->add_option(name, value, text)
        ->type_name("N")
        ->capture_default_str()
        ->check(CLI::Range(from, to));
  };
  number("--processes", options.processes, 1, 1000, "Processes at a time, for their memory");
  number("--rounds", options.rounds, 0, 10'000,
         "Starts of each way; 0: only make the libraries, and print where they are");
  number("--max-seconds", options.max_seconds, 1, 86'400,
         "Don't start a way again whose starts have taken so long");
  std::vector<std::string> names;
  for (const DepsWayKind& way : deps_way_kinds()) names.emplace_back(way.name);
  deps->add_option("--ways", options.ways, "Only these, with commas between")
      ->type_name("WAYS")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  deps->add_option("--dir", options.directory, "Where the libraries are made, and found again")
      ->type_name("CACHE");
  deps->add_option("--html", options.html, "Write a page with plots to FILE")->type_name("FILE");
  deps->add_option("--json", options.json,
                   "Write JSON to FILE; - is standard output, instead of tables")
      ->type_name("FILE");
}

void add_bench(CLI::App& app, CommandLine& line) {
  auto* bench = app.add_subcommand("bench", "Measure what this machine makes of starting programs");
  bench->require_subcommand(1);
  add_bench_spawn(*bench, line.bench);
  add_bench_deps(*bench, line.bench_deps);
}

int run_bench(const CLI::App& app, const CommandLine& line) {
  const bool deps = app.get_subcommand("bench")->got_subcommand("deps");
  return deps ? bench_deps(line.bench_deps) : bench_spawn(line.bench);
}

// `bench spawn` runs this command again as what starts the programs; not for people.
void add_bench_spawn_caller(CLI::App& app, SpawnCallerOptions& options) {
  auto* caller = app.add_subcommand("bench-spawn-caller")->group("");
  caller->add_option("MIB", options.mib)->required();
  caller->add_option("TOUCHED", options.touched)->required();
  caller->add_option("THREADS", options.threads)->required();
}

// Started by the owner of pools; not for people.
void add_adapt(CLI::App& app, AdaptOptions& options) {
  auto& adapter = options.adapter;
  auto* adapt = app.add_subcommand("adapt")->group("");
  adapt->add_option("PROTOCOL", options.protocol)->required();
  adapt->add_option("COMMAND", adapter.command);
  adapt->add_option("--start-seconds", adapter.start_seconds)->check(CLI::Range(1, 3600));
  adapt->add_flag("--no-stdin{false}", adapter.takes_stdin);
  adapt->add_option("--multiplex", adapter.multiplex)->check(CLI::Range(1, 1024));
  adapt->add_option("--keep", adapter.keep)->check(CLI::Range(0, 1000));
  adapt->add_flag("--cancel", adapter.can_cancel);
  adapt->add_flag("--argfile", adapter.argument_file);
  adapt->add_option_function<std::string>("--umask", [&adapter](const std::string& mask) {
    const auto* end = mask.data() + mask.size();
    const auto [last, error] = std::from_chars(mask.data(), end, adapter.umask, 8);
    if (error != std::errc() || last != end || adapter.umask > 0777) {
      throw CLI::ValidationError("--umask", "not an octal number up to 0777: " + mask);
    }
  });
  adapt
      ->add_option_function<std::string>(
          "--output",
          [&adapter](const std::string& to) { adapter.output_to_stdout = to == "stdout"; })
      ->check(CLI::IsMember({"stdout", "stderr"}));
}

// `run [OPTIONS] -- SCRIPT` is `run [OPTIONS] SCRIPT`, and so with `call` and `exec`; CLI11 has
// another meaning for the dashes. Takes them out and returns the new count.
int drop_end_of_options(int argc, char** argv) {
  constexpr const char* kTakeCommands[] = {"run", "call", "exec"};
  if (argc < 3 ||
      std::ranges::none_of(
          kTakeCommands, [&](const char* name) { return std::strcmp(argv[1], name) == 0; })) {
    return argc;
  }
  for (int i = 2; i < argc && argv[i][0] == '-'; ++i) {
    if (std::strcmp(argv[i], "--") == 0) {
      std::copy(argv + i + 1, argv + argc + 1, argv + i);
      return argc - 1;
    }
    for (const char* with_value :
         {"--stats-json", "--max-warm", "--isolation", "--pool", "--affinity", "--timeout",
          "--preload", "--declarations", "-j", "--jobs", "--image", "--path"}) {
      if (std::strcmp(argv[i], with_value) == 0) ++i;
    }
  }
  return argc;
}

struct Subcommand {
  const char* name;
  void (*add)(CLI::App& app, CommandLine& line);
  int (*run)(const CLI::App& app, const CommandLine& line);
};

constexpr Subcommand kSubcommands[] = {
    {"run", [](CLI::App& app, CommandLine& line) { add_run(app, line.run); },
     [](const CLI::App&, const CommandLine& line) { return run(line.run); }},
    {"plan", [](CLI::App& app, CommandLine& line) { add_plan(app, line.script, line.json); },
     [](const CLI::App&, const CommandLine& line) { return plan(line.script, line.json); }},
    {"doctor", [](CLI::App& app, CommandLine& line) { add_doctor(app, line.programs, line.json); },
     [](const CLI::App&, const CommandLine& line) { return doctor(line.programs, line.json); }},
    {"call", [](CLI::App& app, CommandLine& line) { add_call(app, line.call); },
     [](const CLI::App&, const CommandLine& line) { return call(line.call); }},
    {"pool", [](CLI::App& app, CommandLine& line) { add_pool(app, line.pool); },
     [](const CLI::App& app, const CommandLine& line) { return run_pool(app, line.pool); }},
    {"exec", [](CLI::App& app, CommandLine& line) { add_exec(app, line.exec); },
     [](const CLI::App&, const CommandLine& line) { return exec_program(line.exec); }},
    {"image", [](CLI::App& app, CommandLine& line) { add_image(app, line.image); },
     [](const CLI::App& app, const CommandLine& line) { return run_image(app, line.image); }},
    {"nailgun", [](CLI::App& app, CommandLine& line) { add_nailgun(app, line.nailgun); },
     [](const CLI::App&, const CommandLine& line) { return nailgun(line.nailgun); }},
    {"bench", add_bench, run_bench},
    {"bench-spawn-caller",
     [](CLI::App& app, CommandLine& line) { add_bench_spawn_caller(app, line.caller); },
     [](const CLI::App&, const CommandLine& line) { return bench_spawn_caller(line.caller); }},
    {"adapt", [](CLI::App& app, CommandLine& line) { add_adapt(app, line.adapt); },
     [](const CLI::App&, const CommandLine& line) { return adapt(line.adapt); }},
};

// The parser is made anew for each start: if it is clear which subcommand it is, only that one is
// added, as the start of `call` is what its users wait for.
void add_subcommands(CLI::App& app, CommandLine& line, const std::string& first) {
  const auto* named = std::ranges::find(kSubcommands, first, &Subcommand::name);
  for (const Subcommand& subcommand : kSubcommands) {
    if (named == std::end(kSubcommands) || named == &subcommand) subcommand.add(app, line);
  }
}

}  // namespace
}  // namespace prewarm::cli

int main(int argc, char** argv) {
  using namespace prewarm::cli;
  argc = drop_end_of_options(argc, argv);
  CLI::App app("Starts programs from processes that are already warm.", "prewarm");
  app.set_version_flag("--version", std::string("prewarm ") + PREWARM_VERSION);
  app.require_subcommand(1);
  CommandLine line;
  add_subcommands(app, line, argc > 1 ? argv[1] : "");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::Error& e) {
    complain(std::string(e.what()) + "; see prewarm --help");
    return kUsageError;
  }
  const std::string given = app.get_subcommands().front()->get_name();
  return std::ranges::find(kSubcommands, given, &Subcommand::name)->run(app, line);
}
