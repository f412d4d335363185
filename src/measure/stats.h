// SPDX-License-Identifier: MIT
//
// Order statistics: what a noisy machine leaves of a row of samples.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace prewarm::measure {

struct Summary {
  std::size_t count = 0;
  double minimum = 0;
  double first_quartile = 0;
  double median = 0;
  double third_quartile = 0;
  double p90 = 0;

  // Width of the middle half, as a share of the median.
  double spread() const { return median == 0 ? 0 : (third_quartile - first_quartile) / median; }
};

// `samples` must not be empty.
Summary summarize(std::span<const double> samples);

// Value below which `share` (0 to 1) of `sorted` lies, interpolated between neighbours.
double quantile(std::span<const double> sorted, double share);

// numerator[i] / denominator[i], and minuend[i] - subtrahend[i], as far as both go.
std::vector<double> ratios(std::span<const double> numerator, std::span<const double> denominator);
std::vector<double> differences(std::span<const double> minuend,
                                std::span<const double> subtrahend);

}  // namespace prewarm::measure
