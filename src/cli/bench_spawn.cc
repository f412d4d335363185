// SPDX-License-Identifier: MIT
//
// The method is that of the talk "Spawning processes faster and easier with io_uring" (Josh
// Triplett, Linux Plumbers 2022) and of its benchmark, github.com/joshtriplett/spawnbench: the
// program is found by a search along PATH, notes the time when it begins, writes it to a pipe and
// ends. docs/performance.md says what differs.
#include "cli/bench_spawn.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "cli/bench_reports.h"
#include "cli/bench_spawn_callers.h"
#include "cli/bench_spawn_report.h"
#include "cli/bench_spawn_ways.h"
#include "cli/commands.h"
#include "cli/locate.h"
#include "measure/stats.h"

namespace prewarm::cli {
namespace {

// Where the program isn't, so that a search has something to do: as in spawnbench.
constexpr const char* kSystemDirectories =
    "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin:";

// A fork of 1 GiB copies 2 MiB of page tables, and its child's end frees them.
constexpr unsigned kFewer = 10;
constexpr std::size_t kNeededMib = 2560;  // for a caller that touches 1 GiB and may be copied
constexpr unsigned kStartsAtOnce = 20;    // of a cell, before the next one's turn
constexpr std::size_t kQuickMib = 16;

struct Extent {
  unsigned rounds;
  unsigned starts;          // one by one, of each cell in each round
  unsigned rate_every;      // rounds
  unsigned rate_starts;     // many at once
  std::size_t most_memory;  // MiB
};

Extent extent_of(const BenchSpawnOptions& options) {
  if (options.quick) return {2, 2, 1, kMostOutstanding, kQuickMib};
  const unsigned rounds = (options.runs + kStartsAtOnce - 1) / kStartsAtOnce;
  return {rounds, std::min(options.runs, kStartsAtOnce), 4, 100, kMuchMib};
}

// ---- What is measured --------------------------------------------------------------------------

std::string program_name(const char* program) { return std::string("prewarm-child-") + program; }

// Spawns per second are counted in the base caller; of the others only where most are under way,
// and not if each copies the memory.
bool counts_rate(const SpawnWayKind& way, const SpawnCallerKind& caller, unsigned outstanding) {
  if (outstanding > way.most_at_once) return false;
  if (&caller == &kBaseCaller) return true;
  if (caller.options.mib > 0 && (!caller.options.touched || way.copies_memory)) return false;
  return outstanding == kMostOutstanding;
}

std::vector<SpawnCell> all_cells() {
  std::vector<SpawnCell> cells;
  for (const char* program : kSpawnPrograms) {
    for (const SpawnWayKind& way : spawn_way_kinds()) {
      for (const SpawnCallerKind& caller : kSpawnCallers) {
        cells.push_back({.way = &way, .caller = &caller, .program = program});
        for (const unsigned outstanding : kSpawnOutstanding) {
          if (!counts_rate(way, caller, outstanding)) continue;
          cells.push_back(
              {.way = &way, .caller = &caller, .program = program, .outstanding = outstanding});
        }
      }
    }
  }
  return cells;
}

class SpawnBench {
 public:
  SpawnBench(const BenchSpawnOptions& options, std::string directory)
      : extent_(extent_of(options)), path_(kSystemDirectories + directory) {
    report_.machine = measure::look_at_machine();
    report_.load_before = measure::load_average();
    report_.quick = options.quick;
    report_.rounds = extent_.rounds;
    report_.runs = extent_.rounds * extent_.starts;
    report_.cells = all_cells();
  }

  // Starts the callers, and finds out which ways can be had there.
  os::Result<void> prepare();
  // Every cell in each round, by turns forwards and backwards: what drifts meets all of them alike.
  os::Result<void> measure();
  SpawnReport finish();

 private:
  os::Result<void> measure_cell(SpawnCell& cell);
  unsigned starts_of(const SpawnCell& cell) const;
  void show_progress(unsigned round, std::size_t done, std::size_t of) const;

  Extent extent_;
  std::string path_;
  std::map<const SpawnCallerKind*, SpawnCaller> callers_;
  SpawnReport report_;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  time_t began_ = ::time(nullptr);
};

os::Result<void> SpawnBench::prepare() {
  std::map<const SpawnCallerKind*, std::string> missing;
  for (const SpawnCallerKind& kind : kSpawnCallers) {
    SpawnCallerOptions options = kind.options;
    options.mib = std::min(options.mib, extent_.most_memory);
    if (options.touched && options.mib == kMuchMib && measure::available_mib() < kNeededMib) {
      missing[&kind] = fmt::format("less than {} MiB of memory are available", kNeededMib);
      report_.notes.push_back("No caller has touched 1 GiB: " + missing[&kind] + ".");
      continue;
    }
    auto caller = SpawnCaller::start(options, path_);
    if (!caller) return std::unexpected(caller.error());
    callers_.emplace(&kind, std::move(*caller));
  }
  for (SpawnCell& cell : report_.cells) {
    const auto caller = callers_.find(cell.caller);
    if (caller == callers_.end()) {
      cell.absent = missing[cell.caller];
      continue;
    }
    auto why = caller->second.check(cell.way->name, program_name(cell.program));
    if (!why) return std::unexpected(why.error());
    cell.absent = std::move(*why);
    cell.samples.resize(cell.outstanding == 0 ? std::size_t{kSpawnMetrics} : 1);
    cell.rounds.resize(cell.samples.size());
  }
  return {};
}

// Slow ones are started less often.
unsigned SpawnBench::starts_of(const SpawnCell& cell) const {
  const bool slow = cell.way->copies_memory && cell.caller->options.touched;
  return slow ? std::max(1U, extent_.starts / kFewer) : extent_.starts;
}

os::Result<void> SpawnBench::measure_cell(SpawnCell& cell) {
  SpawnCaller& caller = callers_.at(cell.caller);
  const std::string program = program_name(cell.program);
  if (cell.outstanding > 0) {
    const auto us = caller.rate(cell.way->name, program, cell.outstanding, extent_.rate_starts);
    if (!us) return std::unexpected(us.error());
    cell.samples[kPerSpawn].push_back(*us);
    cell.rounds[kPerSpawn].push_back(*us);
    return {};
  }
  const auto times = caller.time(cell.way->name, program, starts_of(cell));
  if (!times) return std::unexpected(times.error());
  for (std::size_t metric = 0; metric < kSpawnMetrics; ++metric) {
    const std::vector<double>& us = times->at(metric);
    cell.samples[metric].insert(cell.samples[metric].end(), us.begin(), us.end());
    cell.rounds[metric].push_back(measure::summarize(us).median);
  }
  return {};
}

void SpawnBench::show_progress(unsigned round, std::size_t done, std::size_t of) const {
  if (!terminal_) return;
  const double share =
      (round + (static_cast<double>(done) / static_cast<double>(of))) / extent_.rounds;
  const double passed = ::difftime(::time(nullptr), began_);
  fmt::print(stderr, "\r\033[K{:3.0f}%, round {} of {}", share * 100, round + 1, extent_.rounds);
  if (passed >= 3 && share > 0) {
    fmt::print(stderr, ", {:.0f} s to go", passed * (1 - share) / share);
  }
  std::fflush(stderr);
}

os::Result<void> SpawnBench::measure() {
  std::vector<SpawnCell*> order;
  for (SpawnCell& cell : report_.cells) {
    if (cell.absent.empty()) order.push_back(&cell);
  }
  for (unsigned round = 0; round < extent_.rounds; ++round) {
    for (std::size_t i = 0; i < order.size(); ++i) {
      show_progress(round, i, order.size());
      if (order[i]->outstanding > 0 && round % extent_.rate_every != 0) continue;
      if (auto done = measure_cell(*order[i]); !done) return done;
    }
    std::ranges::reverse(order);
  }
  if (terminal_) fmt::print(stderr, "\r\033[K");
  return {};
}

SpawnReport SpawnBench::finish() {
  report_.load_after = measure::load_average();
  if (callers_.contains(&kTouchedCaller))
    report_.notes.push_back(
        fmt::format("What copies a caller that has touched 1 GiB was started {} times only.",
                    extent_.rounds * std::max(1U, extent_.starts / kFewer)));
  report_.notes.push_back(fmt::format(
      "Spawns per second are medians of rounds of {1} spawns, {0} of them.",
      (extent_.rounds + extent_.rate_every - 1) / extent_.rate_every, extent_.rate_starts));
  if (report_.quick) {
    report_.notes.push_back(fmt::format("{} MiB stand for 1 GiB.", extent_.most_memory));
  }
  report_.verdicts = judge_spawn_floors(report_);
  return std::move(report_);
}

}  // namespace

int bench_spawn(const BenchSpawnOptions& options) {
  const auto fail = [](const os::Error& error) {
    complain(error.message());
    return EXIT_FAILURE;
  };

  // Can it be done?
  const std::string directory = find_bench_programs();
  if (directory.empty()) {
    complain("the programs prewarm-child-static and prewarm-child-dynamic are not there");
    return EXIT_FAILURE;
  }
  if (!can_write({options.json, options.html})) return EXIT_FAILURE;

  // Measure.
  SpawnBench bench(options, directory);
  if (auto done = bench.prepare(); !done) return fail(done.error());
  if (auto done = bench.measure(); !done) return fail(done.error());

  // Report.
  const SpawnReport report = bench.finish();
  const bool written = write_reports(
      {options.json, options.html}, spawn_json(report), [&] { return spawn_text(report); },
      [&] { return spawn_html(report); });
  return written ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace prewarm::cli
