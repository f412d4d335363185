// SPDX-License-Identifier: MIT
//
// Pieces of a report as one HTML file that needs nothing else: no scripts, no fonts, no addresses.
// Colours work on light and dark pages.
#pragma once

#include <string>
#include <vector>

#include "measure/measured.h"

namespace prewarm::measure {

// A row of a plot: the bar ends at the median, the whisker goes from the minimum to the 90th
// percentile.
struct Bar {
  std::string label;    // at the left; may be empty
  std::string figures;  // at the right
  Summary values;
  const char* colour;
};

inline constexpr const char* kBaselineColour = "#8a8f98";
inline constexpr const char* kOtherColour = "#5b8db8";
inline constexpr const char* kOurColour = "#e07b39";

// Everything before the first paragraph, with `title` as the heading; and what closes it.
std::string page_head(const std::string& title);
std::string page_end();

// `title`, and the bars as one plot below it; the axis is logarithmic if medians differ much.
// `number` writes a value of the axis.
std::string plot_html(const std::string& title, const std::vector<Bar>& bars,
                      std::string (*number)(double));

// "met SENTENCE (rounds …)". `about` goes before the demand; may be empty.
std::string verdict_html(const std::string& about, const Verdict& verdict);

std::string escaped(const std::string& text);

// "12.3 µs", "1.23 ms".
std::string time_text(double us);

}  // namespace prewarm::measure
