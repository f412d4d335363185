// SPDX-License-Identifier: MIT
//
// What a case yields, and what is demanded of it. Pure data and arithmetic: nothing here runs
// anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure/stats.h"

namespace prewarm::measure {

// The samples of one variant, in µs: samples[metric][round].
struct Series {
  std::string variant;
  std::vector<std::vector<double>> samples;
};

struct Measured {
  std::vector<std::string> metrics;  // what is timed, at least one
  std::string sample;                // what one sample is, for people
  std::vector<Series> series;        // the first is the baseline; rounds are paired
  std::string note;                  // what else a reader must know; may be empty
  std::string skipped;               // why nothing was measured; then all else is empty

  static Measured skip(std::string why);
  const Series* find(const std::string& variant) const;
};

// All demands are about the first metric.
enum class DemandKind {
  faster_at_least,    // reference / variant >= limit
  time_at_most,       // variant / reference <= limit
  time_within,        // variant / reference is 1 +- limit
  excess_ms_at_most,  // variant - reference <= limit, in ms
  us_at_most,         // variant <= limit, in us; the reference is the variant itself
};

struct Demand {
  DemandKind kind;
  std::string variant;
  std::string reference;
  double limit;
};

// "prewarm at least 5x as fast as bash"
std::string demand_text(const Demand& demand);

struct Verdict {
  Demand demand;
  double measured;  // of the medians, in the demand's own terms
  Summary rounds;   // the same of each round
  bool met;         // by `measured`
  bool clear;       // both quartiles of the rounds say the same
};

// Nothing if either of the two was not measured.
std::optional<Verdict> judge(const Measured& measured, const Demand& demand);

// "met", "missed", with "?" where the rounds don't agree.
std::string verdict_word(const Verdict& verdict);
// The demand and what was measured, without the word.
std::string verdict_text(const Verdict& verdict);

// "5.12x", "1.73 ms": a figure in a demand's terms.
std::string figure_text(DemandKind kind, double figure);

}  // namespace prewarm::measure
