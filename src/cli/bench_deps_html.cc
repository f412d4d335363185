// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "cli/bench_deps_report.h"
#include "measure/page.h"

namespace prewarm::cli {
namespace {

using measure::escaped;

constexpr double kKibPerMib = 1024;
constexpr double kUsPerMs = 1000;

std::string mib_text(double mib) { return fmt::format("{:.{}f} MiB", mib, mib < 10 ? 2 : 0); }
std::string ms_text(double us) { return measure::time_text(us); }
std::string number_text(double number) { return fmt::format("{:.0f}", number); }

measure::Bar bar_of(const DepsRow& row, measure::Summary values, std::string figures) {
  return {.label = row.way->label,
          .figures = std::move(figures),
          .values = values,
          .colour = row.way->ours ? measure::kOurColour : measure::kOtherColour};
}

// One bar for each way, of a single figure.
std::string plot(const DepsReport& report, const std::string& title,
                 double (*figure)(const DepsRow&), std::string (*number)(double)) {
  std::vector<measure::Bar> bars;
  for (const DepsRow& row : report.rows) {
    if (!row.measured()) continue;
    const double value = figure(row);
    bars.push_back(bar_of(row, measure::summarize({{value}}), number(value)));
  }
  return bars.empty() ? "" : measure::plot_html(title, bars, number);
}

std::string times_plot(const DepsReport& report) {
  std::vector<measure::Bar> bars;
  for (const DepsRow& row : report.rows) {
    if (!row.measured()) continue;
    const measure::Summary s = measure::summarize(row.samples);
    bars.push_back(bar_of(row, s, fmt::format("{} ({} starts)", ms_text(s.median), s.count)));
  }
  return bars.empty() ? "" : measure::plot_html("From the call to main", bars, ms_text);
}

std::string floors_html(const DepsReport& report) {
  std::string html;
  for (const DepsVerdict& v : report.verdicts) {
    const char* style = !v.figure ? "note" : v.met ? "met" : "missed";
    html += fmt::format("<p><span class=\"{}\">{}</span> {}</p>\n", style, deps_verdict_word(v),
                        escaped(deps_verdict_text(v)));
  }
  return html.empty() ? html : "<h2>Floors</h2>\n" + html;
}

std::string notes_html(const DepsReport& report) {
  std::string html;
  for (const DepsRow& row : report.rows) {
    std::string note;
    if (!row.absent.empty()) {
      note = "not measured: " + row.absent;
    } else if (row.together.reckoned) {
      note = fmt::format("memory of {} reckoned from what {} processes share", report.processes,
                         row.together.processes);
    } else if (row.build_us) {
      note = fmt::format("built in {:.0f} ms", *row.build_us / kUsPerMs);
    }
    if (note.empty()) continue;
    html += fmt::format("<p class=\"note\">{}: {}</p>\n", escaped(row.way->label), escaped(note));
  }
  return html;
}

}  // namespace

std::string deps_html(const DepsReport& report) {
  std::string html = measure::page_head("prewarm bench deps");
  html += fmt::format("<p>{}</p>\n<p>{}</p>\n", escaped(deps_circumstances(report)),
                      escaped(deps_subject(report)));
  html += floors_html(report);
  html += "<h2>Time</h2>\n" + times_plot(report);
  html += "<h2>Memory of one process</h2>\n";
  html += plot(
      report, fmt::format("Proportional, of {} processes at a time", report.processes),
      [](const DepsRow& row) { return row.together.pss / kKibPerMib; }, mib_text);
  html += plot(
      report, "Resident, alone", [](const DepsRow& row) { return row.alone.rss / kKibPerMib; },
      mib_text);
  html += plot(
      report, "Page tables", [](const DepsRow& row) { return row.alone.page_tables / kKibPerMib; },
      mib_text);
  html +=
      plot(report, "Mappings", [](const DepsRow& row) { return row.alone.mappings; }, number_text);
  return html + notes_html(report) + measure::page_end();
}

}  // namespace prewarm::cli
