// SPDX-License-Identifier: MIT
//
// The question is that of the SLUL project's note on applications of 10,000 dependencies: what is
// spent on linking them at each start, and what is left if that is done once.
#include "cli/bench_deps.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "cli/bench_deps_make.h"
#include "cli/bench_deps_program.h"
#include "cli/bench_deps_report.h"
#include "cli/bench_deps_ways.h"
#include "cli/bench_reports.h"
#include "cli/commands.h"

namespace prewarm::cli {
namespace {

constexpr double kUsPerS = 1e6;

class DepsBench {
 public:
  DepsBench(const BenchDepsOptions& options, const DepsClosure& closure)
      : options_(options), checksum_(fmt::format("{}\n", closure.checksum())) {
    report_.machine = measure::look_at_machine();
    report_.load_before = measure::load_average();
    report_.shape = options.shape;
    report_.processes = options.processes;
    report_.rounds = options.rounds;
    report_.max_seconds = options.max_seconds;
    for (const DepsWayKind& way : deps_way_kinds()) {
      const bool wanted =
          options.ways.empty() || std::ranges::find(options.ways, way.name) != options.ways.end();
      if (wanted) report_.rows.push_back({.way = &way});
    }
    starts_.resize(report_.rows.size());
  }

  // Finds out which ways can be had.
  void prepare(const DepsSubject& subject);
  // Every way in each round, by turns forwards and backwards: what drifts meets all of them alike.
  void measure();
  DepsReport finish();
  // Whether a way was there that didn't do what it should.
  bool failed() const { return failed_; }

 private:
  void show(const char* what, unsigned round, const DepsRow& row) const;
  bool may_start(const DepsRow& row) const;
  unsigned affordable(double start_us) const;
  os::Result<void> first_start(DepsRow& row, const DepsStart& start);
  os::Result<void> start_again(DepsRow& row, const DepsStart& start);
  os::Result<void> look_together(DepsRow& row, const DepsStart& start, const DepsProgram& first);

  const BenchDepsOptions& options_;
  std::string checksum_;
  DepsReport report_;
  std::vector<DepsStart> starts_;  // of the rows
  bool failed_ = false;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
};

void DepsBench::show(const char* what, unsigned round, const DepsRow& row) const {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K{}, round {} of {}: {}", what, round + 1, options_.rounds,
             row.way->label);
  std::fflush(stderr);
}

void DepsBench::prepare(const DepsSubject& subject) {
  report_.directory = subject.set.directory;
  for (std::size_t i = 0; i < starts_.size(); ++i) {
    DepsRow& row = report_.rows[i];
    show("preparing", 0, row);
    auto start = row.way->prepare(subject);
    if (start) {
      row.build_us = start->build_us;
      starts_[i] = std::move(*start);
    } else {
      row.absent = start.error().message();
    }
  }
}

bool DepsBench::may_start(const DepsRow& row) const {
  const double spent = std::accumulate(row.samples.begin(), row.samples.end(), 0.0);
  return row.absent.empty() && spent < options_.max_seconds * kUsPerS;
}

// How many processes may be started to look at them together: with slow starts not all.
unsigned DepsBench::affordable(double start_us) const {
  const unsigned processors = std::max(1U, report_.machine.processors);
  const double count = options_.max_seconds * kUsPerS / 2 / start_us * processors;
  const unsigned least = std::min(2U, options_.processes);
  return std::clamp(static_cast<unsigned>(std::min(count, 1e6)), least, options_.processes);
}

os::Result<void> DepsBench::look_together(DepsRow& row, const DepsStart& start,
                                          const DepsProgram& first) {
  const unsigned count = affordable(row.samples.front());
  std::vector<DepsProgram> others;
  while (others.size() + 1 < count) {
    const std::size_t from = others.size();
    const auto missing = static_cast<unsigned>(count - 1 - from);
    for (unsigned i = 0; i < std::clamp(report_.machine.processors, 1U, missing); ++i) {
      auto program = DepsProgram::start(start, false);
      if (!program) return std::unexpected(program.error());
      others.push_back(std::move(*program));
    }
    for (std::size_t i = from; i < others.size(); ++i) {
      if (auto us = others[i].await_main(); !us) return std::unexpected(us.error());
    }
  }
  std::vector<DepsMemory> all;
  const auto look = [&](const DepsProgram& program) -> os::Result<void> {
    auto memory = program.memory();
    if (!memory) return std::unexpected(memory.error());
    all.push_back(*memory);
    return {};
  };
  if (auto seen = look(first); !seen) return seen;
  for (const DepsProgram& other : others) {
    if (auto seen = look(other); !seen) return seen;
  }
  std::ranges::sort(all, {}, &DepsMemory::pss);
  DepsTogether& together = row.together;
  together = {.processes = count, .memory = all[all.size() / 2]};
  together.pss = together.memory.pss;
  if (count < options_.processes) {
    const double shared = together.memory.rss - together.memory.private_part;
    together.pss = together.memory.private_part + (shared / options_.processes);
    together.reckoned = true;
  }
  for (DepsProgram& other : others) {
    if (auto ended = other.finish(); !ended) return std::unexpected(ended.error());
  }
  return {};
}

// It is looked at while it waits, and its result is.
os::Result<void> DepsBench::first_start(DepsRow& row, const DepsStart& start) {
  auto program = DepsProgram::start(start, true);
  if (!program) return std::unexpected(program.error());
  const auto us = program->await_main();
  if (!us) return std::unexpected(us.error());
  row.samples.push_back(*us);
  row.processor.push_back(program->processor_us());
  const auto alone = program->memory();
  if (!alone) return std::unexpected(alone.error());
  row.alone = *alone;
  // `prewarm exec` starts a program the usual way when it is in doubt, and nobody would notice.
  if (start.build_us && !alone->from_image) {
    row.absent = "it was started without its image";
    const auto ended = program->finish();
    return ended ? os::Result<void>() : std::unexpected(ended.error());
  }
  if (auto looked = look_together(row, start, *program); !looked) return looked;
  const auto printed = program->finish();
  if (!printed) return std::unexpected(printed.error());
  if (*printed == checksum_) return {};
  return os::failed_with(
      0, "link the program:", fmt::format("it prints {:?} instead of {:?}", *printed, checksum_));
}

os::Result<void> DepsBench::start_again(DepsRow& row, const DepsStart& start) {
  auto program = DepsProgram::start(start, false);
  if (!program) return std::unexpected(program.error());
  const auto us = program->await_main();
  if (!us) return std::unexpected(us.error());
  row.samples.push_back(*us);
  row.processor.push_back(program->processor_us());
  const auto ended = program->finish();
  return ended ? os::Result<void>() : std::unexpected(ended.error());
}

void DepsBench::measure() {
  std::vector<std::size_t> order(starts_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (unsigned round = 0; round < options_.rounds; ++round) {
    for (const std::size_t i : order) {
      DepsRow& row = report_.rows[i];
      if (!may_start(row)) continue;
      show("measuring", round, row);
      auto done = round == 0 ? first_start(row, starts_[i]) : start_again(row, starts_[i]);
      if (done) continue;
      row.absent = done.error().message();
      failed_ = true;
    }
    std::ranges::reverse(order);
  }
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

DepsReport DepsBench::finish() {
  report_.load_after = measure::load_average();
  report_.verdicts = judge_deps_floors(report_);
  return std::move(report_);
}

}  // namespace

int bench_deps(const BenchDepsOptions& options) {
  // Can it be done?
  if (!can_write({options.json, options.html})) return EXIT_FAILURE;

  // Make the libraries, or find them.
  const DepsClosure closure(options.shape);
  const std::string cache = options.directory.empty() ? deps_cache() : options.directory;
  const auto set = make_deps(closure, DepsLibc::system, cache);
  if (!set) {
    complain(set.error().message());
    return EXIT_FAILURE;
  }
  if (options.rounds == 0) {
    fmt::print("{}\n", set->directory);
    return EXIT_SUCCESS;
  }

  // Measure.
  DepsBench bench(options, closure);
  bench.prepare({closure, cache, *set});
  bench.measure();

  // Report.
  const DepsReport report = bench.finish();
  const bool written = write_reports(
      {options.json, options.html}, deps_json(report), [&] { return deps_text(report); },
      [&] { return deps_html(report); });
  return written && !bench.failed() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace prewarm::cli
