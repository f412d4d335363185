// SPDX-License-Identifier: MIT
//
// What `prewarm bench spawn` has measured, as data; what is demanded of it; and how it is told.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/bench_spawn_caller.h"
#include "measure/machine.h"
#include "measure/measured.h"

namespace prewarm::cli {

struct SpawnWayKind;  // cli/bench_spawn_ways.h

// The callers that are compared.
struct SpawnCallerKind {
  const char* name;   // in JSON
  const char* label;  // for people
  SpawnCallerOptions options;
};
inline constexpr std::size_t kMuchMib = 1024;
inline constexpr SpawnCallerKind kSpawnCallers[] = {
    {"base", "base", {}},
    {"mapped", "1 GiB mapped", {.mib = kMuchMib}},
    {"touched", "1 GiB touched", {.mib = kMuchMib, .touched = true}},
    {"threads", "64 threads", {.threads = 64}},
};

inline constexpr const SpawnCallerKind& kBaseCaller = kSpawnCallers[0];
inline constexpr const SpawnCallerKind& kTouchedCaller = kSpawnCallers[2];

// The programs that they start; the file is prewarm-child-NAME.
inline constexpr const char* kSpawnPrograms[] = {"static", "dynamic"};

// How many are kept under way where spawns per second are counted.
inline constexpr unsigned kSpawnOutstanding[] = {1, 4, 16};
inline constexpr unsigned kMostOutstanding = 16;

// Of starts one by one. See bench_spawn_caller.h.
enum SpawnMetric : std::size_t { kToChild, kBlocked, kToEnd, kSpawnMetrics };
// Of many at once: the only metric, time / number of programs.
inline constexpr std::size_t kPerSpawn = 0;

// One way, of one caller, with one program.
struct SpawnCell {
  const SpawnWayKind* way = nullptr;
  const SpawnCallerKind* caller = nullptr;
  const char* program = nullptr;
  unsigned outstanding = 0;                    // 0: one by one
  std::vector<std::vector<double>> samples{};  // of each metric, µs
  std::vector<std::vector<double>> rounds{};   // of each metric, the median of each round's samples
  std::string absent{};                        // why it was not measured

  bool measured() const { return !samples.empty() && !samples.front().empty(); }
};

struct SpawnFloor {
  const char* about;  // for people, before the demand
  std::size_t metric;
  unsigned outstanding;
  const char* way;
  const char* caller;
  measure::DemandKind kind;
  double limit;
  const char* reference_way;
  const char* reference_caller;
  unsigned reference_outstanding;
};

struct SpawnVerdict {
  const SpawnFloor* floor;
  measure::Demand demand;
  std::optional<measure::Verdict> verdict{};  // nothing: one of the two was not measured
  double of_minima = 0;                       // its figure, were it of minima instead of medians
};

struct SpawnReport {
  measure::Machine machine;
  double load_before = 0;
  double load_after = 0;
  unsigned runs = 0;    // of each cell, but for what `notes` says
  unsigned rounds = 0;  // by turns
  bool quick = false;
  std::vector<std::string> notes;  // sentences
  std::vector<SpawnCell> cells;
  std::vector<SpawnVerdict> verdicts;

  const SpawnCell* find(std::string_view way, std::string_view caller, std::string_view program,
                        unsigned outstanding) const;
};

// The project's floors, of the static program; by medians, with the ratios of the rounds.
std::span<const SpawnFloor> spawn_floors();
std::vector<SpawnVerdict> judge_spawn_floors(const SpawnReport& report);

// What stands above all figures: where, when and how often.
std::string spawn_circumstances(const SpawnReport& report);

std::string spawn_text(const SpawnReport& report);
std::string spawn_json(const SpawnReport& report);
std::string spawn_html(const SpawnReport& report);

}  // namespace prewarm::cli
