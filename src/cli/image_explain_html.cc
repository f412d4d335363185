// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "cli/image_explain.h"
#include "measure/page.h"

namespace prewarm::cli {
namespace {

using measure::escaped;
using measure::time_text;

constexpr std::size_t kSteps = static_cast<std::size_t>(StartStep::count);
constexpr double kLabels = 70;  // widths and heights in px
constexpr double kPlot = 560;
constexpr double kFigures = 110;
constexpr double kRow = 44;
constexpr double kBar = 28;
constexpr double kLegendRow = 20;

// The steps of one way, one behind the other, in the scale of the longer bar.
std::string bar_svg(const char* label, const WayTimes& way, double longest, double top) {
  const double middle = top + (kRow / 2);
  std::string svg = fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n",
                                kLabels - 8, middle + 4, label);
  double x = kLabels;
  for (std::size_t i = 0; i < kSteps; ++i) {
    if (!way.steps[i]) continue;
    const StepText& step = text_of(static_cast<StartStep>(i));
    const double width = way.steps[i]->median / longest * kPlot;
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\">"
        "<title>{}: {}</title></rect>\n",
        x, middle - (kBar / 2), width, kBar, step.colour, escaped(step.label),
        time_text(way.steps[i]->median));
    x += width;
  }
  return svg + fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", x + 8, middle + 4,
                           time_text(way.total.median));
}

double length_of(const WayTimes& way) {
  double sum = 0;
  for (const auto& step : way.steps) sum += step ? step->median : 0;
  return sum;
}

std::string picture(const ExplainedTimes& times) {
  double longest = length_of(times.stock);
  if (times.image) longest = std::max(longest, length_of(*times.image));
  longest = std::max(longest, 1.0);
  std::string svg = bar_svg("stock", times.stock, longest, 0);
  double bottom = kRow;
  if (times.image) {
    svg += bar_svg("image", *times.image, longest, kRow);
    bottom += kRow;
  }
  for (std::size_t i = 0; i < kSteps; ++i) {
    const bool used = times.stock.steps[i] || (times.image && times.image->steps[i]);
    if (!used) continue;
    const StepText& step = text_of(static_cast<StartStep>(i));
    svg += fmt::format(
        "<rect x=\"{0:.1f}\" y=\"{1:.1f}\" width=\"12\" height=\"12\" fill=\"{2}\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\">{5}</text>\n",
        kLabels, bottom + 4, step.colour, kLabels + 20, bottom + 14, escaped(step.label));
    bottom += kLegendRow;
  }
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" "
             "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"currentColor\" "
             "role=\"img\" aria-label=\"Where the time of a start goes\">\n",
             kLabels + kPlot + kFigures, bottom + 8) +
         svg + "</svg>\n";
}

std::string way_cell(const WayTimes* way, std::size_t step) {
  return way != nullptr && way->steps[step] ? time_text(way->steps[step]->median) : "";
}

std::string table(const ExplainedTimes& times) {
  const WayTimes* const image = times.image ? &*times.image : nullptr;
  std::string html = "<table><tr><th>step</th><th>stock</th><th>image</th></tr>\n";
  for (std::size_t i = 0; i < kSteps; ++i) {
    const std::string stock = way_cell(&times.stock, i);
    const std::string imaged = way_cell(image, i);
    if (stock.empty() && imaged.empty()) continue;
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                        escaped(text_of(static_cast<StartStep>(i)).label), stock, imaged);
  }
  return html + fmt::format("<tr><th>all</th><th>{}</th><th>{}</th></tr></table>\n",
                            time_text(times.stock.total.median),
                            image == nullptr ? "" : time_text(image->total.median));
}

std::string libraries_html(const Explanation& e) {
  std::string html =
      "<table><tr><th>library</th><th>found by</th><th>kept as it is, because</th></tr>\n";
  for (const auto& library : e.libraries) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", escaped(library.path),
                        library.found_by, escaped(library.why_kept));
  }
  return html + "</table>\n";
}

}  // namespace

std::string explanation_html(const Explanation& e) {
  std::string html = measure::page_head("The start of " + e.program);
  html += fmt::format("<p>{}{}</p>\n", e.refusal == image::Refusal::none ? "" : "stock loader: ",
                      escaped(std::string(image::refusal_sentence(e.refusal))));
  for (const auto& note : e.notes) html += "<p class=\"note\">" + escaped(note) + "</p>\n";
  if (e.times) {
    html += fmt::format(
        "<h2>Until {}</h2>\n<p class=\"note\">Medians of {} starts of each way, by "
        "turns, of traced processes.</p>\n",
        e.times->until_main ? "main" : "the program's own start", e.times->starts);
    html += picture(*e.times) + table(*e.times);
  }
  if (!e.libraries.empty()) html += "<h2>Libraries</h2>\n" + libraries_html(e);
  return html + measure::page_end();
}

}  // namespace prewarm::cli
