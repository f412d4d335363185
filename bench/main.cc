// SPDX-License-Identifier: MIT
//
// prewarm-bench: measures prewarm against what it replaces, by turns in the same run, and says
// whether the floors that the project sets itself are met.
//
// Exit status: 0 if all was measured, whatever the figures are; 1 if a case failed or a report
// could not be written; 2 for bad use; 128 + n after signal n.
#include <fmt/format.h>
#include <fnmatch.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/cases.h"
#include "bench/report.h"

namespace prewarm::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kFailure = 1;
constexpr int kBadUse = 2;
constexpr unsigned kQuickRounds = 2;

struct CommandLine {
  Options options;
  std::string json;
  std::string html;
  std::vector<std::string> wanted;
  bool list = false;
};

void complain(const std::string& text) { fmt::print(stderr, "prewarm-bench: {}\n", text); }

std::string own_directory() {
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  return code ? fs::path(".") : self.parent_path();
}

void define(CLI::App& app, CommandLine& line) {
  app.add_option("--json", line.json,
                 "Write JSON, with all samples, to FILE; - is stdout, instead of tables")
      ->type_name("FILE");
  app.add_option("--html", line.html, "Write a page with plots to FILE")->type_name("FILE");
  app.add_option("--rounds", line.options.rounds,
                 "How often each variant is measured; short ones some more")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_flag("--quick", line.options.quick,
               "Only try everything, in seconds; the figures mean nothing");
  app.add_option("--prewarm", line.options.prewarm, "The prewarm command")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_flag("--list", line.list, "List the cases and their floors");
  app.add_option("CASE", line.wanted, "Names or patterns of cases; all if none is given")
      ->type_name("");
}

std::vector<Case> all_cases() {
  std::vector<Case> cases = loop_cases();
  for (auto more : {script_cases, to_main_cases, coproc_cases, image_map_cases, image_start_cases,
                    lambda_cases}) {
    for (Case& c : more()) cases.push_back(std::move(c));
  }
  return cases;
}

// Those that `wanted` names, in their own order. Names the first word that fits none.
std::expected<std::vector<Case>, std::string> choose(std::vector<Case> cases,
                                                     const std::vector<std::string>& wanted) {
  const auto fits = [](const std::string& word, const Case& c) {
    return ::fnmatch(word.c_str(), c.name.c_str(), 0) == 0;
  };
  for (const std::string& word : wanted) {
    const bool known = std::ranges::any_of(cases, [&](const Case& c) { return fits(word, c); });
    if (!known) return std::unexpected(word);
  }
  if (wanted.empty()) return cases;
  std::erase_if(cases, [&](const Case& c) {
    return std::ranges::none_of(wanted, [&](const std::string& word) { return fits(word, c); });
  });
  return cases;
}

void list(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    fmt::print("{:<16}{}\n", c.name, c.what);
    for (const Demand& d : c.demands) fmt::print("{:<16}  floor: {}\n", "", demand_text(d));
  }
}

CaseReport measure(const Case& c, const Options& options, Processes& processes,
                   Progress& progress) {
  CaseReport report{.name = c.name, .what = c.what, .measured = {}, .verdicts = {}, .error = {}};
  const auto directory = TemporaryDirectory::make();
  if (!directory) {
    report.error = directory.error().message();
    return report;
  }
  const Session session{options, processes, progress, directory->path()};
  auto measured = c.measure(session);
  progress.clear();
  if (!measured) {
    report.error = measured.error().message();
    return report;
  }
  report.measured = std::move(*measured);
  for (const Demand& demand : c.demands) {
    if (auto verdict = judge(report.measured, demand)) report.verdicts.push_back(*verdict);
  }
  return report;
}

// Tables appear on stdout as they come, unless the JSON is to go there.
Report measure_all(const std::vector<Case>& cases, const CommandLine& line, Processes& processes) {
  Report report{.machine = measure::look_at_machine(),
                .load_before = measure::load_average(),
                .load_after = 0,
                .rounds = line.options.rounds,
                .quick = line.options.quick,
                .cases = {}};
  Progress progress;
  for (const Case& c : cases) {
    progress.begin_case(fmt::format("[{}/{}] {}", report.cases.size() + 1, cases.size(), c.name));
    CaseReport one = measure(c, line.options, processes, progress);
    if (processes.stop_signal() != 0) break;
    if (!one.error.empty()) complain(fmt::format("case {}: {}", c.name, one.error));
    if (line.json != "-") {
      fmt::print("{}", case_text(one));
      std::fflush(stdout);
    }
    report.cases.push_back(std::move(one));
  }
  report.load_after = measure::load_average();
  return report;
}

bool write_reports(const Report& report, const CommandLine& line) {
  bool written = true;
  const auto save = [&](const std::string& path, const std::string& text) {
    if (const auto done = write_file(path, text); !done) {
      complain(done.error().message());
      written = false;
    }
  };
  fmt::print("{}", line.json == "-" ? to_json(report) : summary_text(report));
  if (std::fflush(stdout) != 0) {
    complain("cannot write to stdout");
    written = false;
  }
  if (!line.json.empty() && line.json != "-") save(line.json, to_json(report));
  if (!line.html.empty()) save(line.html, to_html(report));
  return written;
}

// Minutes of measuring must not end in a file that can't be written.
bool can_write(const CommandLine& line) {
  for (const std::string& path : {line.json, line.html}) {
    if (path.empty() || path == "-") continue;
    if (const auto done = write_file(path, ""); !done) {
      complain(done.error().message());
      return false;
    }
  }
  return true;
}

os::Result<void> check_runnable(const std::string& path) {
  std::error_code unknown;  // access says more
  if (fs::is_directory(path, unknown)) return os::failed_with(EISDIR, "run", path);
  if (::access(path.c_str(), X_OK) != 0) return os::failed("run", path);
  return {};
}

int run(CommandLine& line, const std::vector<Case>& cases) {
  // Can it be done?
  line.options.prewarm = fs::absolute(line.options.prewarm);
  if (const auto usable = check_runnable(line.options.prewarm); !usable) {
    complain(usable.error().message());
    return kBadUse;
  }
  if (!can_write(line)) return kFailure;

  // Measure.
  auto processes = Processes::take_over();
  if (!processes) {
    complain(processes.error().message());
    return kFailure;
  }
  const Report report = measure_all(cases, line, *processes);
  if (processes->stop_signal() != 0) return 128 + processes->stop_signal();

  // Report.
  const bool written = write_reports(report, line);
  const bool failed =
      std::ranges::any_of(report.cases, [](const CaseReport& c) { return !c.error.empty(); });
  return written && !failed ? EXIT_SUCCESS : kFailure;
}

}  // namespace
}  // namespace prewarm::bench

int main(int argc, char** argv) {
  using namespace prewarm::bench;

  // What was asked for?
  CommandLine line;
  line.options.directory = own_directory();
  line.options.prewarm = fs::path(line.options.directory).parent_path() / "prewarm";
  CLI::App app("Measures prewarm against what it replaces, by turns in the same run.",
               "prewarm-bench");
  define(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help
    complain(error.what());
    return kBadUse;
  }
  if (line.options.quick && app.count("--rounds") == 0) line.options.rounds = kQuickRounds;
  const auto cases = choose(all_cases(), line.wanted);
  if (!cases) {
    complain(fmt::format("no case is named '{}' (--list lists them)", cases.error()));
    return kBadUse;
  }

  if (line.list) {
    list(*cases);
    return EXIT_SUCCESS;
  }
  return run(line, *cases);
}
