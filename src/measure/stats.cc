// SPDX-License-Identifier: MIT
#include "measure/stats.h"

#include <algorithm>
#include <cassert>

namespace prewarm::measure {

double quantile(std::span<const double> sorted, double share) {
  assert(!sorted.empty() && share >= 0 && share <= 1);
  const double rank = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = rank - static_cast<double>(below);
  return sorted[below] + (part * (sorted[above] - sorted[below]));
}

Summary summarize(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::ranges::sort(sorted);
  return {.count = sorted.size(),
          .minimum = sorted.front(),
          .first_quartile = quantile(sorted, 0.25),
          .median = quantile(sorted, 0.5),
          .third_quartile = quantile(sorted, 0.75),
          .p90 = quantile(sorted, 0.9)};
}

std::vector<double> ratios(std::span<const double> numerator, std::span<const double> denominator) {
  std::vector<double> result;
  for (std::size_t i = 0; i < std::min(numerator.size(), denominator.size()); ++i) {
    result.push_back(numerator[i] / denominator[i]);
  }
  return result;
}

std::vector<double> differences(std::span<const double> minuend,
                                std::span<const double> subtrahend) {
  std::vector<double> result;
  for (std::size_t i = 0; i < std::min(minuend.size(), subtrahend.size()); ++i) {
    result.push_back(minuend[i] - subtrahend[i]);
  }
  return result;
}

}  // namespace prewarm::measure
