// SPDX-License-Identifier: MIT
#include <algorithm>
#include <string_view>

#include "cli/bench_spawn_report.h"
#include "cli/bench_spawn_ways.h"

namespace prewarm::cli {
namespace {

using enum measure::DemandKind;

constexpr const char* kProgram = "static";

// Each form of a ring is for something: one whose task is awake for callers who must not be held
// up, one without a task for who wants the program to run soon, and the usual one is in between. On
// two processors being woken up costs the usual one more than a start of the static program takes.
constexpr SpawnFloor kFloors[] = {
    {"caller blocked", kBlocked, 0, "ring-awake", "base", faster_at_least, 20, "vfork", "base", 0},
    {"caller to child", kToChild, 0, "ring-direct", "base", time_at_most, 1.1, "vfork", "base", 0},
    {"caller to child", kToChild, 0, "ring-direct", "base", faster_at_least, 1, "posix_spawn",
     "base", 0},
    {"caller to child", kToChild, 0, "ring", "touched", faster_at_least, 50, "fork", "touched", 0},
    {"spawns per second", kPerSpawn, kMostOutstanding, "ring", "base", faster_at_least, 1.5,
     "posix_spawn", "base", 1},
    {"caller blocked", kBlocked, 0, "ring-awake", "touched", time_within, 0.15, "ring-awake",
     "base", 0},
    {"caller to child", kToChild, 0, "ring-direct", "touched", time_within, 0.15, "ring-direct",
     "base", 0},
    {"spawns per second", kPerSpawn, kMostOutstanding, "ring", "touched", time_within, 0.15, "ring",
     "base", kMostOutstanding},
};

std::string name_of(const SpawnCell& cell) {
  std::string name = cell.way->label;
  if (cell.caller != &kBaseCaller) name += std::string(", ") + cell.caller->label;
  if (cell.outstanding > 0) name += " (" + std::to_string(cell.outstanding) + " outstanding)";
  return name;
}

SpawnVerdict judge_floor(const SpawnReport& report, const SpawnFloor& floor) {
  const SpawnCell& cell = *report.find(floor.way, floor.caller, kProgram, floor.outstanding);
  const SpawnCell& reference = *report.find(floor.reference_way, floor.reference_caller, kProgram,
                                            floor.reference_outstanding);
  SpawnVerdict result{&floor, {floor.kind, name_of(cell), name_of(reference), floor.limit}};
  if (!cell.measured() || !reference.measured()) return result;
  measure::Measured paired;
  paired.series = {{result.demand.reference, {reference.rounds[floor.metric]}},
                   {result.demand.variant, {cell.rounds[floor.metric]}}};
  result.verdict = measure::judge(paired, result.demand);
  const auto minimum = [&](const SpawnCell& one) {
    return std::vector<double>{std::ranges::min(one.samples[floor.metric])};
  };
  paired.series[0].samples = {minimum(reference)};
  paired.series[1].samples = {minimum(cell)};
  result.of_minima = measure::judge(paired, result.demand)->measured;
  return result;
}

}  // namespace

std::span<const SpawnFloor> spawn_floors() { return kFloors; }

const SpawnCell* SpawnReport::find(std::string_view way, std::string_view caller,
                                   std::string_view program, unsigned outstanding) const {
  const auto found = std::ranges::find_if(cells, [&](const SpawnCell& cell) {
    return cell.way->name == way && cell.caller->name == caller && cell.program == program &&
           cell.outstanding == outstanding;
  });
  return found == cells.end() ? nullptr : &*found;
}

std::vector<SpawnVerdict> judge_spawn_floors(const SpawnReport& report) {
  std::vector<SpawnVerdict> verdicts;
  for (const SpawnFloor& floor : kFloors) verdicts.push_back(judge_floor(report, floor));
  return verdicts;
}

}  // namespace prewarm::cli
