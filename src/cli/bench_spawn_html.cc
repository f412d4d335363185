// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "cli/bench_spawn_report.h"
#include "cli/bench_spawn_ways.h"
#include "measure/page.h"

namespace prewarm::cli {
namespace {

using measure::escaped;

constexpr double kUsPerS = 1e6;

const char* colour_of(const SpawnWayKind& way) {
  return way.ours ? measure::kOurColour : measure::kOtherColour;
}

std::string rate_text(double per_second) { return fmt::format("{:.0f}/s", per_second); }

measure::Bar bar_of(const SpawnCell& cell, std::size_t metric) {
  measure::Bar bar{.label = {}, .figures = {}, .values = {}, .colour = colour_of(*cell.way)};
  if (cell.outstanding == 0) {
    bar.values = measure::summarize(cell.samples[metric]);
    bar.figures = fmt::format("{} (min. {})", measure::time_text(bar.values.median),
                              measure::time_text(bar.values.minimum));
    return bar;
  }
  std::vector<double> rates;
  for (const double us : cell.samples[kPerSpawn]) rates.push_back(kUsPerS / us);
  bar.values = measure::summarize(rates);
  bar.figures = rate_text(bar.values.median);
  return bar;
}

// The way's name where its bars begin; below it what is different.
std::string label_of(const SpawnCell& cell, bool first) {
  const bool base = cell.caller == &kBaseCaller;
  if (cell.outstanding == 0) return base ? cell.way->label : cell.caller->label;
  if (first) return fmt::format("{}: 1", cell.way->label);
  return base ? fmt::format("{}", cell.outstanding)
              : fmt::format("{}, {}", cell.outstanding, cell.caller->label);
}

std::string plot(const SpawnReport& report, const char* program, bool rates, std::size_t metric,
                 const std::string& title) {
  std::vector<measure::Bar> bars;
  const SpawnWayKind* last = nullptr;
  for (const SpawnCell& cell : report.cells) {
    const bool wanted = cell.program == program && (cell.outstanding > 0) == rates;
    if (!wanted || !cell.measured()) continue;
    bars.push_back(bar_of(cell, metric));
    bars.back().label = label_of(cell, cell.way != last);
    last = cell.way;
  }
  if (bars.empty()) return {};
  return measure::plot_html(title, bars, rates ? rate_text : measure::time_text);
}

std::string floors_html(const SpawnReport& report) {
  std::string html;
  for (const SpawnVerdict& v : report.verdicts) {
    if (v.verdict) {
      html += measure::verdict_html(std::string(v.floor->about) + ": ", *v.verdict);
    } else {
      html += fmt::format("<p>{}: {}: not measured</p>\n", escaped(v.floor->about),
                          escaped(measure::demand_text(v.demand)));
    }
  }
  return html;
}

std::string absences_html(const SpawnReport& report) {
  std::string html;
  for (const SpawnCell& cell : report.cells) {
    if (cell.absent.empty() || cell.outstanding > 0 || cell.caller != &kBaseCaller) continue;
    html += fmt::format("<p class=\"note\">{}, {} program, is not here: {}</p>\n",
                        escaped(cell.way->label), cell.program, escaped(cell.absent));
  }
  return html;
}

}  // namespace

std::string spawn_html(const SpawnReport& report) {
  std::string html = measure::page_head("prewarm bench spawn");
  html += fmt::format("<p>{}</p>\n", escaped(spawn_circumstances(report)));
  html += fmt::format(
      "<p class=\"note\">Each way started each program {} times, in {} rounds by turns; the "
      "program is found by a search along PATH. Bars end at the median; whiskers go from the "
      "minimum to the 90th percentile.</p>\n",
      report.runs, report.rounds);
  for (const std::string& note : report.notes) {
    html += fmt::format("<p class=\"note\">{}</p>\n", escaped(note));
  }
  html += "<h2>Floors, static program</h2>\n" + floors_html(report);
  for (const char* program : kSpawnPrograms) {
    html += fmt::format("<h2>{} program</h2>\n", program);
    html += plot(report, program, false, kToChild, "From the call to the child");
    html += plot(report, program, false, kBlocked, "The caller was blocked");
    html +=
        plot(report, program, true, kPerSpawn, "Spawns per second, by how many are outstanding");
  }
  return html + absences_html(report) + measure::page_end();
}

}  // namespace prewarm::cli
