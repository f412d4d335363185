// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "cli/bench_deps_report.h"

namespace prewarm::cli {
namespace {

using enum DepsDemandKind;

constexpr double kUsPerMs = 1000;

constexpr DepsFloor kFloors[] = {
    {1000, faster_at_least, "packed", "stock", 20},
    {10'000, faster_at_least, "packed", "stock", 300},
    {10'000, ms_at_most, "packed", nullptr, 60},
    {10'000, pss_at_most, "packed", "stock", 0.125},
    {10'000, mappings_at_most, "packed", nullptr, 3000},
    {10'000, build_at_most, "packed", "stock", 0.5},
};

std::string demand_text(const DepsFloor& floor, const DepsRow& way, const DepsRow* reference,
                        unsigned processes) {
  const char* label = way.way->label;
  const char* other = reference == nullptr ? "" : reference->way->label;
  switch (floor.kind) {
    case faster_at_least:
      return fmt::format("{} at least {:g}x as fast to main as {}", label, floor.limit, other);
    case ms_at_most:
      return fmt::format("{} takes at most {:g} ms to main", label, floor.limit);
    case pss_at_most:
      return fmt::format("{} has at most {:g}x the proportional memory of {}, {} processes", label,
                         floor.limit, other, processes);
    case mappings_at_most:
      return fmt::format("{} has at most {:g} mappings", label, floor.limit);
    case build_at_most:
      return fmt::format("{} is built in at most {:g}x the time of one start by {}", label,
                         floor.limit, other);
  }
  return {};
}

double median(const DepsRow& row) { return measure::summarize(row.samples).median; }

// Nothing if it can't be told.
std::optional<double> figure_of(const DepsFloor& floor, const DepsRow& way,
                                const DepsRow* reference) {
  if (!way.measured() || (reference != nullptr && !reference->measured())) return std::nullopt;
  switch (floor.kind) {
    case faster_at_least:
      return median(*reference) / median(way);
    case ms_at_most:
      return median(way) / kUsPerMs;
    case pss_at_most:
      return way.together.pss / reference->together.pss;
    case mappings_at_most:
      return way.alone.mappings;
    case build_at_most:
      if (!way.build_us) return std::nullopt;
      return *way.build_us / median(*reference);
  }
  return std::nullopt;
}

std::optional<measure::Verdict> rounds_of(const DepsFloor& floor, const DepsRow& way,
                                          const DepsRow* reference) {
  if (floor.kind != faster_at_least) return std::nullopt;
  measure::Measured paired;
  paired.series = {{floor.reference, {reference->samples}}, {floor.way, {way.samples}}};
  return measure::judge(
      paired, {measure::DemandKind::faster_at_least, floor.way, floor.reference, floor.limit});
}

// False if one of the two wasn't to be measured at all.
bool judge_floor(const DepsReport& report, const DepsFloor& floor, DepsVerdict& verdict) {
  const DepsRow* way = report.find(floor.way);
  const DepsRow* reference = floor.reference == nullptr ? nullptr : report.find(floor.reference);
  if (way == nullptr || (floor.reference != nullptr && reference == nullptr)) return false;
  verdict.floor = &floor;
  verdict.text = demand_text(floor, *way, reference, report.processes);
  verdict.figure = figure_of(floor, *way, reference);
  if (!verdict.figure) return true;
  verdict.met = floor.kind == faster_at_least ? *verdict.figure >= floor.limit
                                              : *verdict.figure <= floor.limit;
  verdict.rounds = rounds_of(floor, *way, reference);
  return true;
}

}  // namespace

std::span<const DepsFloor> deps_floors() { return kFloors; }

const DepsRow* DepsReport::find(std::string_view way) const {
  const auto found =
      std::ranges::find_if(rows, [&](const DepsRow& row) { return row.way->name == way; });
  return found == rows.end() ? nullptr : &*found;
}

std::vector<DepsVerdict> judge_deps_floors(const DepsReport& report) {
  std::vector<DepsVerdict> verdicts;
  for (const DepsFloor& floor : kFloors) {
    DepsVerdict verdict{};
    if (floor.libs == report.shape.libs && judge_floor(report, floor, verdict)) {
      verdicts.push_back(std::move(verdict));
    }
  }
  return verdicts;
}

std::string deps_figure(DepsDemandKind kind, double figure) {
  switch (kind) {
    case ms_at_most:
      return fmt::format("{:.1f} ms", figure);
    case mappings_at_most:
      return fmt::format("{:.0f}", figure);
    case faster_at_least:
    case pss_at_most:
    case build_at_most:
      return fmt::format("{:.{}f}x", figure, figure < 10 ? 3 : 1);
  }
  return {};
}

std::string deps_verdict_word(const DepsVerdict& verdict) {
  if (!verdict.figure) return "-";
  const bool unclear = verdict.rounds && !verdict.rounds->clear;
  return std::string(verdict.met ? "met" : "missed") + (unclear ? "?" : "");
}

std::string deps_verdict_text(const DepsVerdict& verdict) {
  if (!verdict.figure) return verdict.text + ": not measured";
  const DepsDemandKind kind = verdict.floor->kind;
  std::string text = verdict.text + ": " + deps_figure(kind, *verdict.figure);
  if (verdict.rounds) {
    const measure::Summary& rounds = verdict.rounds->rounds;
    text += fmt::format(" (rounds {}, {} to {})", deps_figure(kind, rounds.median),
                        deps_figure(kind, rounds.first_quartile),
                        deps_figure(kind, rounds.third_quartile));
  }
  return text;
}

}  // namespace prewarm::cli
