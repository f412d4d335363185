// SPDX-License-Identifier: MIT
//
// Each metric is a row of bars: the bar ends at the median, the whisker goes from the minimum to
// the 90th percentile. Colours work on light and dark pages.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "bench/report.h"

namespace prewarm::bench {
namespace {

constexpr double kLabels = 170;  // widths and heights in px
constexpr double kPlot = 440;
constexpr double kFigures = 160;
constexpr double kRow = 26;
constexpr double kBar = 14;
constexpr double kAxis = 22;
constexpr double kLogFrom = 50;  // a logarithmic axis from this ratio of medians on

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>prewarm-bench</title>
<meta name="viewport" content="width=device-width">
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2.2rem 0 0; font-size: 1.15rem; }
p { margin: .2rem 0 .6rem; }
code { font-size: .95em; }
svg { display: block; width: 100%; height: auto; margin: .4rem 0; }
table { border-collapse: collapse; font-size: .9rem; }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top; }
.note { opacity: .7; font-size: .85rem; }
.met { color: #1a9850; font-weight: 600; } .missed { color: #d73027; font-weight: 600; }
</style></head><body>
<h1>prewarm-bench</h1>
)";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string time_text(double us) {
  if (us >= 10'000) return fmt::format("{:.1f} ms", us / 1000);
  if (us >= 1000) return fmt::format("{:.2f} ms", us / 1000);
  return fmt::format("{:.{}f} µs", us, us < 100 ? 1 : 0);
}

// From times to places on the plot.
struct Scale {
  bool logarithmic = false;
  double from = 0;
  double to = 1;
  std::vector<double> ticks;

  double place(double us) const {
    const double share =
        logarithmic ? std::log(std::max(us, from) / from) / std::log(to / from) : us / to;
    return kLabels + (kPlot * std::clamp(share, 0.0, 1.0));
  }
};

// 1, 2 or 5 times a power of ten, such that about five of them make `to`.
double tick_distance(double to) {
  const double raw = to / 5;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double digit = raw / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

Scale make_scale(const std::vector<Summary>& bars) {
  const auto [lowest, highest] = std::ranges::minmax(bars, {}, &Summary::median);
  double most = 0;
  double least = bars.front().minimum;
  for (const Summary& bar : bars) {
    most = std::max({most, bar.p90, bar.median});
    least = std::min(least, bar.minimum);
  }
  Scale scale;
  scale.logarithmic = highest.median > kLogFrom * lowest.median;
  if (!scale.logarithmic) {
    scale.to = most * 1.02;
    const double distance = tick_distance(most);
    for (double tick = 0; tick <= most; tick += distance) scale.ticks.push_back(tick);
    return scale;
  }
  scale.from = std::pow(10, std::floor(std::log10(least)));
  scale.to = std::pow(10, std::ceil(std::log10(most)));
  for (double tick = scale.from; tick <= scale.to * 1.001; tick *= 10) scale.ticks.push_back(tick);
  return scale;
}

std::string bar_svg(const Scale& scale, const std::string& label, const std::string& figures,
                    const Summary& bar, double top, const char* colour) {
  const double middle = top + (kRow / 2);
  const double low = scale.place(bar.minimum);
  const double high = scale.place(bar.p90);
  std::string svg = fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)",
                                kLabels - 8, middle + 4, escaped(label));
  svg += fmt::format(
      R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}" rx="2"/>)", kLabels,
      middle - (kBar / 2), std::max(scale.place(bar.median) - kLabels, 1.0), kBar, colour);
  svg += fmt::format(
      R"(<path d="M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v8M{1:.1f} {3:.1f}v8" stroke="currentColor" fill="none"/>)",
      low, high, middle, middle - 4);
  svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", kLabels + kPlot + 8, middle + 4,
                     escaped(figures));
  return svg + "\n";
}

std::string axis_svg(const Scale& scale, double bottom) {
  std::string svg;
  for (const double tick : scale.ticks) {
    const double x = scale.place(tick);
    svg += fmt::format(
        R"(<path d="M{0:.1f} 0V{1:.1f}" stroke="currentColor" opacity=".18"/><text x="{0:.1f}" y="{2:.1f}" text-anchor="middle" opacity=".7">{3}</text>)",
        x, bottom, bottom + 15, time_text(tick));
    svg += '\n';
  }
  return svg;
}

const char* colour_of(const Measured& m, const Series& series) {
  if (&series == &m.series.front()) return "#8a8f98";
  const bool ours = series.variant.starts_with("prewarm") || series.variant.starts_with("parked");
  return ours ? "#e07b39" : "#5b8db8";
}

std::string metric_svg(const Measured& m, std::size_t metric) {
  std::vector<Summary> bars;
  for (const Series& series : m.series) bars.push_back(summarize(series.samples[metric]));
  const Scale scale = make_scale(bars);
  const double bottom = kRow * static_cast<double>(bars.size());
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="system-ui, sans-serif" font-size="12" fill="currentColor" role="img" aria-label="{}">)",
      kLabels + kPlot + kFigures, bottom + kAxis, escaped(m.metrics[metric]));
  svg += "\n" + axis_svg(scale, bottom);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Series& series = m.series[i];
    std::string figures = time_text(bars[i].median);
    if (i > 0) figures += "  (" + ratio_text(medians_ratio(m, series, metric)) + "x)";
    svg += bar_svg(scale, series.variant, figures, bars[i], kRow * static_cast<double>(i),
                   colour_of(m, series));
  }
  svg += "</svg>\n";
  return fmt::format("<p>{}{}</p>\n{}", escaped(m.metrics[metric]),
                     scale.logarithmic ? " (logarithmic axis)" : "", svg);
}

std::string verdict_html(const Verdict& v) {
  const DemandKind kind = v.demand.kind;
  return fmt::format(
      "<p><span class=\"{}\">{}</span> {}: <b>{}</b> (rounds: median {}, middle half {} to "
      "{})</p>\n",
      v.met ? "met" : "missed", verdict_word(v), escaped(demand_text(v.demand)),
      figure_text(kind, v.measured), figure_text(kind, v.rounds.median),
      figure_text(kind, v.rounds.first_quartile), figure_text(kind, v.rounds.third_quartile));
}

std::string case_html(const CaseReport& report) {
  std::string html = fmt::format("<h2 id=\"{0}\">{0}</h2>\n<p><code>{1}</code></p>\n",
                                 escaped(report.name), escaped(report.what));
  if (!report.error.empty()) {
    return html + fmt::format("<p class=\"missed\">failed: {}</p>\n", escaped(report.error));
  }
  const Measured& m = report.measured;
  if (!m.skipped.empty()) return html + fmt::format("<p>skipped: {}</p>\n", escaped(m.skipped));
  for (const Verdict& v : report.verdicts) html += verdict_html(v);
  for (std::size_t metric = 0; metric < m.metrics.size(); ++metric) html += metric_svg(m, metric);
  return html + fmt::format("<p class=\"note\">{} rounds, each sample: {}{}</p>\n",
                            m.series.front().samples.front().size(), escaped(m.sample),
                            m.note.empty() ? "" : "; " + escaped(m.note));
}

}  // namespace

std::string to_html(const Report& report) {
  std::string html = kHead;
  html += fmt::format("<p>{}</p>\n", escaped(circumstances(report)));
  html +=
      "<p class=\"note\">Bars end at the median; whiskers go from the minimum to the 90th "
      "percentile. In brackets: how many times faster than the first bar, by medians.</p>\n";
  for (const CaseReport& c : report.cases) html += case_html(c);
  return html + "</body></html>\n";
}

}  // namespace prewarm::bench
