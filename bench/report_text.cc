// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>

#include "bench/report.h"

namespace prewarm::bench {
namespace {

// Four digits or so, whatever the size.
std::string number(double us) { return fmt::format("{:.{}f}", us, us < 100 ? 1 : 0); }

using Row = std::array<std::string, 9>;

std::string row_text(const Row& cells) {
  static constexpr std::array<int, 9> kWidths = {-25, 9, 9, 9, 8, 9, 9, 9, 15};
  std::string text = " ";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    text += kWidths[i] < 0 ? fmt::format(" {:<{}}", cells[i], -kWidths[i])
                           : fmt::format(" {:>{}}", cells[i], kWidths[i]);
  }
  return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
}

std::string metric_text(const Measured& m, std::size_t metric) {
  std::string text = row_text({m.metrics[metric] + ", µs", "", "", "", "", "", "times", "faster"});
  text += row_text(
      {"", "minimum", "median", "p90", "spread", "minima", "medians", "rounds", "their middle"});
  for (const Series& series : m.series) {
    const Summary s = summarize(series.samples[metric]);
    Row row = {series.variant, number(s.minimum), number(s.median), number(s.p90),
               fmt::format("{:.0f}%", s.spread() * 100)};
    if (&series != &m.series.front()) {
      const Summary r = rounds_ratio(m, series, metric);
      row[5] = ratio_text(minima_ratio(m, series, metric));
      row[6] = ratio_text(medians_ratio(m, series, metric));
      row[7] = ratio_text(r.median);
      row[8] = ratio_text(r.first_quartile) + "-" + ratio_text(r.third_quartile);
    }
    text += row_text(row);
  }
  return text;
}

std::string verdict_line(const Verdict& v) {
  return fmt::format("{:<8}{}\n", verdict_word(v), verdict_text(v));
}

}  // namespace

std::string ratio_text(double ratio) {
  return fmt::format("{:.{}f}", ratio, ratio < 0.095 ? 3 : 2);
}

std::string circumstances(const Report& report) {
  return fmt::format("{}, {} processors, {}, load {:.1f} before and {:.1f} after, {} rounds{}, {}",
                     report.machine.processor, report.machine.processors, report.machine.kernel,
                     report.load_before, report.load_after, report.rounds,
                     report.quick ? " (quick: the figures mean nothing)" : "", report.machine.time);
}

Summary rounds_ratio(const Measured& measured, const Series& series, std::size_t metric) {
  return summarize(
      measure::ratios(measured.series.front().samples[metric], series.samples[metric]));
}

double medians_ratio(const Measured& measured, const Series& series, std::size_t metric) {
  return summarize(measured.series.front().samples[metric]).median /
         summarize(series.samples[metric]).median;
}

double minima_ratio(const Measured& measured, const Series& series, std::size_t metric) {
  return summarize(measured.series.front().samples[metric]).minimum /
         summarize(series.samples[metric]).minimum;
}

std::string case_text(const CaseReport& report) {
  std::string text = fmt::format("{}: {}\n", report.name, report.what);
  if (!report.error.empty()) return text + "  failed: " + report.error + "\n\n";
  const Measured& m = report.measured;
  if (!m.skipped.empty()) return text + "  skipped: " + m.skipped + "\n\n";
  text += fmt::format("  {} rounds, each sample: {}\n", m.series.front().samples.front().size(),
                      m.sample);
  if (!m.note.empty()) text += "  " + m.note + "\n";
  for (std::size_t metric = 0; metric < m.metrics.size(); ++metric) text += metric_text(m, metric);
  for (const Verdict& v : report.verdicts) text += "  " + verdict_line(v);
  return text + "\n";
}

std::string summary_text(const Report& report) {
  std::string lines;
  unsigned met = 0;
  unsigned all = 0;
  for (const CaseReport& c : report.cases) {
    for (const Verdict& v : c.verdicts) {
      lines += fmt::format("  {:<16}{}", c.name, verdict_line(v));
      met += v.met;
      ++all;
    }
  }
  std::string text = circumstances(report) + "\n";
  if (report.load_before > report.machine.processors) {
    text += "The machine was busy: ratios are paired and hold, times don't.\n";
  }
  if (all == 0) return text;
  return text +
         fmt::format("{} of {} floors met ('?': the middle half of the rounds disagrees)\n", met,
                     all) +
         lines;
}

}  // namespace prewarm::bench
