// SPDX-License-Identifier: MIT
#include "measure/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace prewarm::measure {
namespace {

constexpr double kLabels = 170;  // widths and heights in px
constexpr double kPlot = 440;
constexpr double kFigures = 160;
constexpr double kRow = 26;
constexpr double kBar = 14;
constexpr double kAxis = 22;
constexpr double kLogFrom = 50;  // a logarithmic axis from this ratio of medians on

constexpr const char* kStyle = R"(<style>
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
</style>
)";

// From values to places on the plot.
struct Scale {
  bool logarithmic = false;
  double from = 0;
  double to = 1;
  std::vector<double> ticks;

  double place(double value) const {
    const double share =
        logarithmic ? std::log(std::max(value, from) / from) / std::log(to / from) : value / to;
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

Scale make_scale(const std::vector<Bar>& bars) {
  const auto by_median = [](const Bar& bar) { return bar.values.median; };
  const double lowest = std::ranges::min(bars, {}, by_median).values.median;
  const double highest = std::ranges::max(bars, {}, by_median).values.median;
  double most = 0;
  double least = bars.front().values.minimum;
  for (const Bar& bar : bars) {
    most = std::max({most, bar.values.p90, bar.values.median});
    least = std::min(least, bar.values.minimum);
  }
  Scale scale;
  scale.logarithmic = highest > kLogFrom * lowest;
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

std::string bar_svg(const Scale& scale, const Bar& bar, double top) {
  const double middle = top + (kRow / 2);
  const double low = scale.place(bar.values.minimum);
  const double high = scale.place(bar.values.p90);
  std::string svg = fmt::format(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>)",
                                kLabels - 8, middle + 4, escaped(bar.label));
  svg += fmt::format(
      R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="{}" rx="2"/>)", kLabels,
      middle - (kBar / 2), std::max(scale.place(bar.values.median) - kLabels, 1.0), kBar,
      bar.colour);
  svg += fmt::format(
      R"(<path d="M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v8M{1:.1f} {3:.1f}v8" stroke="currentColor" fill="none"/>)",
      low, high, middle, middle - 4);
  svg += fmt::format(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", kLabels + kPlot + 8, middle + 4,
                     escaped(bar.figures));
  return svg + "\n";
}

std::string axis_svg(const Scale& scale, double bottom, std::string (*number)(double)) {
  std::string svg;
  for (const double tick : scale.ticks) {
    const double x = scale.place(tick);
    svg += fmt::format(
        R"(<path d="M{0:.1f} 0V{1:.1f}" stroke="currentColor" opacity=".18"/><text x="{0:.1f}" y="{2:.1f}" text-anchor="middle" opacity=".7">{3}</text>)",
        x, bottom, bottom + 15, number(tick));
    svg += '\n';
  }
  return svg;
}

}  // namespace

std::string page_head(const std::string& title) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n{1}</head><body>\n"
      "<h1>{0}</h1>\n",
      escaped(title), kStyle);
}

std::string page_end() { return "</body></html>\n"; }

std::string plot_html(const std::string& title, const std::vector<Bar>& bars,
                      std::string (*number)(double)) {
  const Scale scale = make_scale(bars);
  const double bottom = kRow * static_cast<double>(bars.size());
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="system-ui, sans-serif" font-size="12" fill="currentColor" role="img" aria-label="{}">)",
      kLabels + kPlot + kFigures, bottom + kAxis, escaped(title));
  svg += "\n" + axis_svg(scale, bottom, number);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    svg += bar_svg(scale, bars[i], kRow * static_cast<double>(i));
  }
  return fmt::format("<p>{}{}</p>\n{}</svg>\n", escaped(title),
                     scale.logarithmic ? " (logarithmic axis)" : "", svg);
}

std::string verdict_html(const std::string& about, const Verdict& v) {
  const DemandKind kind = v.demand.kind;
  return fmt::format(
      "<p><span class=\"{}\">{}</span> {}{}: <b>{}</b> (rounds: median {}, middle half {} to "
      "{})</p>\n",
      v.met ? "met" : "missed", verdict_word(v), escaped(about), escaped(demand_text(v.demand)),
      figure_text(kind, v.measured), figure_text(kind, v.rounds.median),
      figure_text(kind, v.rounds.first_quartile), figure_text(kind, v.rounds.third_quartile));
}

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

}  // namespace prewarm::measure
