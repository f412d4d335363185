// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <map>

#include "cli/bench_spawn_report.h"
#include "cli/bench_spawn_ways.h"

namespace prewarm::cli {
namespace {

constexpr double kUsPerS = 1e6;
constexpr int kLabelWidth = 20;
constexpr int kFigureWidth = 9;
constexpr int kCallerWidth = 2 * kFigureWidth;

std::string figure(double us) {
  return fmt::format("{:>{}.{}f}", us, kFigureWidth, us < 100 ? 1 : 0);
}

std::string line(std::string text) {
  text.resize(text.find_last_not_of(' ') + 1);
  return "  " + text + "\n";
}

// Minimum and median of one metric: a row for each way, two columns for each caller.
std::string times_table(const SpawnReport& report, const char* program, std::size_t metric,
                        const char* title) {
  std::string callers = fmt::format("{:{}}", "", kLabelWidth);
  std::string heads = callers;
  for (const SpawnCallerKind& caller : kSpawnCallers) {
    callers += fmt::format("{:>{}}", caller.label, kCallerWidth);
    heads += fmt::format("{:>{}}{:>{}}", "minimum", kFigureWidth, "median", kFigureWidth);
  }
  std::string text =
      fmt::format("{}, {} program, µs\n", title, program) + line(callers) + line(heads);
  for (const SpawnWayKind& way : spawn_way_kinds()) {
    std::string row = fmt::format("{:{}}", way.label, kLabelWidth);
    bool any = false;
    for (const SpawnCallerKind& caller : kSpawnCallers) {
      const SpawnCell* cell = report.find(way.name, caller.name, program, 0);
      if (!cell->measured()) {
        row += fmt::format("{:>{}}", "-", kCallerWidth);
        continue;
      }
      const measure::Summary s = measure::summarize(cell->samples[metric]);
      row += figure(s.minimum) + figure(s.median);
      any = true;
    }
    if (any) text += line(row);
  }
  return text + "\n";
}

// The median rate: a column for each number of outstanding ones, and for the other callers.
std::string rates_table(const SpawnReport& report, const char* program) {
  struct Column {
    const SpawnCallerKind* caller;
    unsigned outstanding;
  };
  std::vector<Column> columns;
  std::string heads = fmt::format("{:{}}", "", kLabelWidth);
  for (const SpawnCell& cell : report.cells) {
    if (cell.program != program || cell.outstanding == 0 || cell.way != &spawn_way_kinds()[1]) {
      continue;
    }
    columns.push_back({cell.caller, cell.outstanding});
    heads += fmt::format("{:>{}}", fmt::format("{}, {}", cell.outstanding, cell.caller->label),
                         kCallerWidth);
  }
  std::string text =
      fmt::format("Spawns per second, median, by how many are outstanding; {} program\n", program) +
      line(heads);
  for (const SpawnWayKind& way : spawn_way_kinds()) {
    std::string row = fmt::format("{:{}}", way.label, kLabelWidth);
    bool any = false;
    for (const Column& column : columns) {
      const SpawnCell* cell =
          report.find(way.name, column.caller->name, program, column.outstanding);
      const bool measured = cell != nullptr && cell->measured();
      any |= measured;
      row += measured ? fmt::format("{:>{}.0f}",
                                    kUsPerS / measure::summarize(cell->samples[kPerSpawn]).median,
                                    kCallerWidth)
                      : fmt::format("{:>{}}", "-", kCallerWidth);
    }
    if (any) text += line(row);
  }
  return text + "\n";
}

// Each reason once, with the way that it keeps from being measured.
std::string absences(const SpawnReport& report) {
  std::string text;
  for (const SpawnWayKind& way : spawn_way_kinds()) {
    std::string last;
    for (const char* program : kSpawnPrograms) {
      const std::string& why = report.find(way.name, kBaseCaller.name, program, 0)->absent;
      if (why.empty() || why == last) continue;
      text += fmt::format("  {:{}}not here: {}\n", way.label, kLabelWidth, why);
      last = why;
    }
  }
  return text.empty() ? text : "Not measured\n" + text + "\n";
}

std::string floors(const SpawnReport& report) {
  std::string lines;
  unsigned met = 0;
  for (const SpawnVerdict& v : report.verdicts) {
    if (!v.verdict) {
      lines += fmt::format("  {:<8}{}: {}: not measured\n", "-", v.floor->about,
                           measure::demand_text(v.demand));
      continue;
    }
    met += v.verdict->met;
    lines += fmt::format("  {:<8}{}: {}, minima {}\n", measure::verdict_word(*v.verdict),
                         v.floor->about, measure::verdict_text(*v.verdict),
                         measure::figure_text(v.demand.kind, v.of_minima));
  }
  return fmt::format(
             "{} of {} floors met, static program ('?': the middle half of the rounds disagrees)\n",
             met, report.verdicts.size()) +
         lines;
}

}  // namespace

std::string spawn_circumstances(const SpawnReport& report) {
  return fmt::format("{}, {} processors, {}, load {:.1f} before and {:.1f} after, {}{}",
                     report.machine.processor, report.machine.processors, report.machine.kernel,
                     report.load_before, report.load_after, report.machine.time,
                     report.quick ? " (quick: the figures mean nothing)" : "");
}

std::string spawn_text(const SpawnReport& report) {
  std::string text = spawn_circumstances(report) + "\n";
  text += fmt::format("Each way started each program {} times, in {} rounds by turns.\n",
                      report.runs, report.rounds);
  for (const std::string& note : report.notes) text += note + "\n";
  text += "\n";
  for (const char* program : kSpawnPrograms) {
    text += times_table(report, program, kToChild, "From the call to the child");
    text += times_table(report, program, kBlocked, "The caller was blocked");
    text += rates_table(report, program);
  }
  return text + absences(report) + floors(report);
}

}  // namespace prewarm::cli
