// SPDX-License-Identifier: MIT
//
// Each metric of a case is a plot, each variant a bar.
#include <fmt/format.h>

#include "bench/report.h"
#include "measure/page.h"

namespace prewarm::bench {
namespace {

using measure::escaped;
using measure::time_text;

const char* colour_of(const Measured& m, const Series& series) {
  if (&series == &m.series.front()) return measure::kBaselineColour;
  const bool ours = series.variant.starts_with("prewarm") || series.variant.starts_with("parked");
  return ours ? measure::kOurColour : measure::kOtherColour;
}

std::string metric_html(const Measured& m, std::size_t metric) {
  std::vector<measure::Bar> bars;
  for (const Series& series : m.series) {
    const Summary values = summarize(series.samples[metric]);
    std::string figures = time_text(values.median);
    if (!bars.empty()) figures += "  (" + ratio_text(medians_ratio(m, series, metric)) + "x)";
    bars.push_back({series.variant, std::move(figures), values, colour_of(m, series)});
  }
  return measure::plot_html(m.metrics[metric], bars, time_text);
}

std::string case_html(const CaseReport& report) {
  std::string html = fmt::format("<h2 id=\"{0}\">{0}</h2>\n<p><code>{1}</code></p>\n",
                                 escaped(report.name), escaped(report.what));
  if (!report.error.empty()) {
    return html + fmt::format("<p class=\"missed\">failed: {}</p>\n", escaped(report.error));
  }
  const Measured& m = report.measured;
  if (!m.skipped.empty()) return html + fmt::format("<p>skipped: {}</p>\n", escaped(m.skipped));
  for (const Verdict& v : report.verdicts) html += measure::verdict_html("", v);
  for (std::size_t metric = 0; metric < m.metrics.size(); ++metric) html += metric_html(m, metric);
  return html + fmt::format("<p class=\"note\">{} rounds, each sample: {}{}</p>\n",
                            m.series.front().samples.front().size(), escaped(m.sample),
                            m.note.empty() ? "" : "; " + escaped(m.note));
}

}  // namespace

std::string to_html(const Report& report) {
  std::string html = measure::page_head("prewarm-bench");
  html += fmt::format("<p>{}</p>\n", escaped(circumstances(report)));
  html +=
      "<p class=\"note\">Bars end at the median; whiskers go from the minimum to the 90th "
      "percentile. In brackets: how many times faster than the first bar, by medians.</p>\n";
  for (const CaseReport& c : report.cases) html += case_html(c);
  return html + measure::page_end();
}

}  // namespace prewarm::bench
