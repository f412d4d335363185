// SPDX-License-Identifier: MIT
//
// lambda-demo: the same Lambda runtime as a bash script, as that script under
// `prewarm run`, and as a C++ program, measured side by side.
//
// Exit status: 0 if every answer was right, 1 if not or if a runtime failed, 2
// for bad use, 128 + n after signal n.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "contest.h"
#include "report.h"

namespace {

namespace fs = std::filesystem;

constexpr int kFailure = 1;
constexpr int kBadUse = 2;

struct Options {
  std::string prewarm;
  std::string script;
  std::string program;
  std::vector<std::string> runtimes = {"bash", "prewarm", "cpp"};
  int count = 200;
  int warmup = 10;
  int limit_s = 60;
  bool json = false;
};

fs::path own_directory() {
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  return code ? fs::path(".") : self.parent_path();
}

void define(CLI::App& app, Options& options) {
  app.add_option("--prewarm", options.prewarm, "The prewarm command")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--script", options.script, "The runtime for bash and prewarm")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--runtimes", options.runtimes, "Which take part, in the order of the table")
      ->delimiter(',')
      ->check(CLI::IsMember({"bash", "prewarm", "cpp"}))
      ->capture_default_str();
  app.add_option("--count", options.count, "Measured events for each runtime")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--warmup", options.warmup, "Events for each runtime before the measured ones")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  app.add_option("--timeout", options.limit_s, "Seconds a runtime may take for one event")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print JSON, with all samples, not a table");
}

lambda::Result<void> check_files(const std::string& runtime, const Options& options) {
  if (runtime == "prewarm" && ::access(options.prewarm.c_str(), X_OK) != 0) {
    const int code = errno;
    return lambda::system_failure(
        "run", options.prewarm + " (build it first, or name it with --prewarm)", code);
  }
  if (runtime == "cpp" && ::access(options.program.c_str(), X_OK) != 0) {
    return lambda::system_failure("run", options.program, errno);
  }
  if (runtime != "cpp" && ::access(options.script.c_str(), R_OK) != 0) {
    return lambda::system_failure("read", options.script, errno);
  }
  return {};
}

// Argument vectors for the chosen runtimes, or a complaint.
lambda::Result<std::vector<lambda::RuntimeSpec>> choose_runtimes(const Options& options) {
  std::vector<lambda::RuntimeSpec> specs;
  for (const std::string& name : options.runtimes) {
    lambda::RuntimeSpec spec{name, {}};
    if (name == "bash") spec.argv = {"bash", options.script};
    // Absolute, so that a plain name is never looked up in PATH.
    if (name == "prewarm") spec.argv = {fs::absolute(options.prewarm), "run", options.script};
    if (name == "cpp") spec.argv = {options.program};

    const bool known = std::ranges::any_of(specs, [&](auto& other) { return other.name == name; });
    if (known) return std::unexpected(lambda::Error{"use --runtimes", name, "it is named twice"});

    if (auto usable = check_files(name, options); !usable) return std::unexpected(usable.error());
    specs.push_back(std::move(spec));
  }
  return specs;
}

void complain(const std::string& text) { fmt::print(stderr, "lambda-demo: {}\n", text); }

int failed(const lambda::Contest& contest, const lambda::Error& error) {
  for (const std::string& problem : contest.problems()) complain(problem);
  complain(error.message());
  return contest.stop_signal() != 0 ? 128 + contest.stop_signal() : kFailure;
}

int report(const lambda::Contest& contest, const Options& options) {
  const std::vector<std::string> problems = contest.problems();
  const std::vector<lambda::Outcome> outcomes = contest.outcomes();
  const std::string text = options.json ? lambda::to_json(outcomes, problems, options.warmup)
                                        : lambda::to_table(outcomes);
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    complain("cannot write the report");
    return kFailure;
  }
  for (const std::string& problem : problems) complain(problem);
  return problems.empty() ? EXIT_SUCCESS : kFailure;
}

}  // namespace

int main(int argc, char** argv) {
  // What was asked for, and can it be done?
  Options options;
  options.prewarm = own_directory().parent_path().parent_path() / "prewarm";
  options.script = own_directory() / "runtime.sh";
  options.program = own_directory() / "lambda-runtime";
  CLI::App app("Compares one Lambda runtime as a bash script, under prewarm, and in C++.",
               "lambda-demo");
  define(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : kBadUse;
  }
  auto runtimes = choose_runtimes(options);
  if (!runtimes) {
    complain(runtimes.error().message());
    return kBadUse;
  }

  // Signals, before there are threads.
  auto stop = lambda::StopSignals::take();
  if (!stop) {
    complain(stop.error().message());
    return kFailure;
  }

  // The servers, the runtimes, the events in turn, the end.
  lambda::Contest contest({.runtimes = *runtimes,
                           .count = options.count,
                           .warmup = options.warmup,
                           .answer_limit = std::chrono::seconds(options.limit_s)},
                          *stop);
  if (auto done = contest.start(); !done) return failed(contest, done.error());
  if (auto done = contest.run(); !done) return failed(contest, done.error());
  if (auto done = contest.finish(); !done) return failed(contest, done.error());

  // The result.
  return report(contest, options);
}
