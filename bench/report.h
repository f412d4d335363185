// SPDX-License-Identifier: MIT
//
// What was measured, as a table for people, as JSON and as a page with plots.
#pragma once

#include <string>
#include <vector>

#include "bench/measured.h"
#include "measure/machine.h"

namespace prewarm::bench {

using measure::Machine;

struct CaseReport {
  std::string name;
  std::string what;
  Measured measured;
  std::vector<Verdict> verdicts;
  std::string error;  // why measuring failed; then there is nothing else
};

struct Report {
  Machine machine;
  double load_before = 0;
  double load_after = 0;
  unsigned rounds = 0;
  bool quick = false;
  std::vector<CaseReport> cases;
};

// One case as a table, and all demands with their verdicts.
std::string case_text(const CaseReport& report);
std::string summary_text(const Report& report);

// Times in µs; see the fields' names.
std::string to_json(const Report& report);

// One page that needs nothing else.
std::string to_html(const Report& report);

// "AMD EPYC, 2 processors, Linux 6.1, load 0.5 to 1.2, 15 rounds, 2025-01-01T00:00:00Z"
std::string circumstances(const Report& report);
// Two digits after the point, or more for one that is close to nothing.
std::string ratio_text(double ratio);
// Times faster than the baseline (its samples / those of `series`), round by round.
Summary rounds_ratio(const Measured& measured, const Series& series, std::size_t metric);
double medians_ratio(const Measured& measured, const Series& series, std::size_t metric);
double minima_ratio(const Measured& measured, const Series& series, std::size_t metric);

}  // namespace prewarm::bench
