// SPDX-License-Identifier: MIT
#include "measure/measured.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace prewarm::measure {
namespace {

constexpr double kUsPerMs = 1000;

bool holds(const Demand& demand, double figure) {
  switch (demand.kind) {
    case DemandKind::faster_at_least:
      return figure >= demand.limit;
    case DemandKind::time_at_most:
    case DemandKind::excess_ms_at_most:
    case DemandKind::us_at_most:
      return figure <= demand.limit;
    case DemandKind::time_within:
      return std::abs(figure - 1) <= demand.limit;
  }
  return false;
}

double figure_of(DemandKind kind, double variant_us, double reference_us) {
  switch (kind) {
    case DemandKind::faster_at_least:
      return reference_us / variant_us;
    case DemandKind::time_at_most:
    case DemandKind::time_within:
      return variant_us / reference_us;
    case DemandKind::excess_ms_at_most:
      return (variant_us - reference_us) / kUsPerMs;
    case DemandKind::us_at_most:
      return variant_us;
  }
  return 0;
}

}  // namespace

Measured Measured::skip(std::string why) {
  Measured measured;
  measured.skipped = std::move(why);
  return measured;
}

const Series* Measured::find(const std::string& variant) const {
  const auto found = std::ranges::find(series, variant, &Series::variant);
  return found == series.end() ? nullptr : &*found;
}

std::string demand_text(const Demand& d) {
  switch (d.kind) {
    case DemandKind::faster_at_least:
      return fmt::format("{} at least {:g}x as fast as {}", d.variant, d.limit, d.reference);
    case DemandKind::time_at_most:
      return fmt::format("{} takes at most {:g}x the time of {}", d.variant, d.limit, d.reference);
    case DemandKind::time_within:
      return fmt::format("{} takes the time of {} +-{:g}%", d.variant, d.reference, d.limit * 100);
    case DemandKind::excess_ms_at_most:
      return fmt::format("{} takes at most {:g} ms more than {}", d.variant, d.limit, d.reference);
    case DemandKind::us_at_most:
      return fmt::format("{} takes at most {:g} us", d.variant, d.limit);
  }
  return {};
}

std::string figure_text(DemandKind kind, double figure) {
  if (kind == DemandKind::excess_ms_at_most) return fmt::format("{:.2f} ms", figure);
  if (kind == DemandKind::us_at_most) return fmt::format("{:.1f} us", figure);
  return fmt::format("{:.2f}x", figure);
}

std::string verdict_word(const Verdict& v) {
  return std::string(v.met ? "met" : "missed") + (v.clear ? "" : "?");
}

std::string verdict_text(const Verdict& v) {
  const DemandKind kind = v.demand.kind;
  return fmt::format("{}: {} (rounds {}, {} to {})", demand_text(v.demand),
                     figure_text(kind, v.measured), figure_text(kind, v.rounds.median),
                     figure_text(kind, v.rounds.first_quartile),
                     figure_text(kind, v.rounds.third_quartile));
}

std::optional<Verdict> judge(const Measured& measured, const Demand& demand) {
  const Series* variant = measured.find(demand.variant);
  const Series* reference = measured.find(demand.reference);
  if (variant == nullptr || reference == nullptr) return std::nullopt;
  const std::vector<double>& a = variant->samples.front();
  const std::vector<double>& b = reference->samples.front();

  std::vector<double> rounds;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    rounds.push_back(figure_of(demand.kind, a[i], b[i]));
  }
  Verdict v{.demand = demand,
            .measured = figure_of(demand.kind, summarize(a).median, summarize(b).median),
            .rounds = summarize(rounds),
            .met = false,
            .clear = false};
  v.met = holds(demand, v.measured);
  v.clear = holds(demand, v.rounds.first_quartile) == v.met &&
            holds(demand, v.rounds.third_quartile) == v.met;
  return v;
}

}  // namespace prewarm::measure
