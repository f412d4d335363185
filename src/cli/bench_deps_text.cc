// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "cli/bench_deps_report.h"

namespace prewarm::cli {
namespace {

constexpr int kLabelWidth = 16;
constexpr int kWidth = 10;
constexpr double kUsPerMs = 1000;
constexpr double kKibPerMib = 1024;

std::string ms(double us) {
  const double value = us / kUsPerMs;
  return fmt::format("{:>{}.{}f}", value, kWidth, value < 10 ? 3 : value < 1000 ? 1 : 0);
}

std::string mib(double kib) { return fmt::format("{:>{}.2f}", kib / kKibPerMib, kWidth); }

std::string times_table(const DepsReport& report) {
  std::string text = fmt::format("From the call to main, ms\n  {:{}}", "", kLabelWidth);
  for (const char* head : {"starts", "minimum", "median", "p90", "spread", "on cpu", "build"}) {
    text += fmt::format("{:>{}}", head, kWidth);
  }
  text += "\n";
  for (const DepsRow& row : report.rows) {
    if (!row.measured()) continue;
    const measure::Summary s = measure::summarize(row.samples);
    text += fmt::format("  {:{}}{:>{}}{}{}{}{:>{}}", row.way->label, kLabelWidth, s.count, kWidth,
                        ms(s.minimum), ms(s.median), ms(s.p90),
                        fmt::format("{:.0f}%", s.spread() * 100), kWidth);
    text += ms(measure::summarize(row.processor).median);
    text += row.build_us ? ms(*row.build_us) : "";
    text += "\n";
  }
  return text + "\n";
}

std::string memory_table(const DepsReport& report) {
  std::string text = fmt::format("Memory of one process, MiB; alone, and of {} at a time\n  {:{}}",
                                 report.processes, "", kLabelWidth);
  for (const char* head : {"mappings", "tables", "rss", "pss"}) {
    text += fmt::format("{:>{}}", head, kWidth);
  }
  text += fmt::format("{:>{}}\n", fmt::format("pss of {}", report.processes), kWidth + 2);
  bool any_reckoned = false;
  for (const DepsRow& row : report.rows) {
    if (!row.measured()) continue;
    any_reckoned |= row.together.reckoned;
    text += fmt::format("  {:{}}{:>{}.0f}{}{}{}  {}{}\n", row.way->label, kLabelWidth,
                        row.alone.mappings, kWidth, mib(row.alone.page_tables), mib(row.alone.rss),
                        mib(row.alone.pss), mib(row.together.pss),
                        row.together.reckoned ? fmt::format(" *{}", row.together.processes) : "");
  }
  if (any_reckoned) {
    text += "  *N: reckoned from what N processes share; more would have taken too long\n";
  }
  return text + "\n";
}

std::string absences(const DepsReport& report) {
  std::string text;
  for (const DepsRow& row : report.rows) {
    if (row.absent.empty()) continue;
    text += fmt::format("  {:{}}{}\n", row.way->label, kLabelWidth, row.absent);
  }
  return text.empty() ? text : "Not measured\n" + text + "\n";
}

std::string floors(const DepsReport& report) {
  std::string lines;
  unsigned met = 0;
  for (const DepsVerdict& v : report.verdicts) {
    met += v.met;
    lines += fmt::format("  {:<8}{}\n", deps_verdict_word(v), deps_verdict_text(v));
  }
  if (lines.empty()) return "No floors are set for so many libraries and these ways.\n";
  return fmt::format("{} of {} floors met\n", met, report.verdicts.size()) + lines;
}

}  // namespace

std::string deps_circumstances(const DepsReport& report) {
  return fmt::format("{}, {} processors, {}, load {:.1f} before and {:.1f} after, {}",
                     report.machine.processor, report.machine.processors, report.machine.kernel,
                     report.load_before, report.load_after, report.machine.time);
}

std::string deps_subject(const DepsReport& report) {
  const DepsShape& shape = report.shape;
  std::string text = fmt::format("{} {} libraries of {} functions, {}", shape.libs,
                                 shape.cxx ? "C++" : "C", shape.functions, graph_name(shape.graph));
  if (shape.graph == DepsGraph::dag) text += fmt::format(", {} dependencies each", shape.deps);
  if (shape.tls) text += ", thread-local variables";
  if (shape.versions) text += ", versions";
  if (shape.max_page_size != 0) text += fmt::format(", page size {}", shape.max_page_size);
  return text + fmt::format("; {} rounds by turns, at most {} s for each way", report.rounds,
                            report.max_seconds);
}

std::string deps_text(const DepsReport& report) {
  return deps_circumstances(report) + "\n" + deps_subject(report) + "\n\n" + times_table(report) +
         memory_table(report) + absences(report) + floors(report);
}

}  // namespace prewarm::cli
