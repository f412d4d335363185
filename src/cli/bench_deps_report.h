// SPDX-License-Identifier: MIT
//
// What `prewarm bench deps` has measured, as data; what is demanded of it; and how it is told.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_deps_graph.h"
#include "cli/bench_deps_program.h"
#include "measure/machine.h"
#include "measure/measured.h"

namespace prewarm::cli {

// Of one process among several that run the same program at the same time.
struct DepsTogether {
  unsigned processes = 0;  // that there were
  DepsMemory memory{};     // of the one in the middle by pss
  // Its pss, were there as many as asked for. Reckoned from the others if there were fewer.
  double pss = 0;
  bool reckoned = false;
};

struct DepsRow {
  const DepsWayKind* way = nullptr;
  std::string absent{};              // why it was not measured
  std::vector<double> samples{};     // µs to main, one for each round
  std::vector<double> processor{};   // µs of these for which it had a processor
  std::optional<double> build_us{};  // of the image
  DepsMemory alone{};
  DepsTogether together{};

  bool measured() const { return absent.empty() && !samples.empty(); }
};

enum class DepsDemandKind {
  faster_at_least,   // the reference's time / the way's
  ms_at_most,        // its time
  pss_at_most,       // pss of many / the reference's
  mappings_at_most,  // their number
  build_at_most,     // time of building / the reference's start
};

struct DepsFloor {
  unsigned libs;  // judged only if there were as many
  DepsDemandKind kind;
  const char* way;
  const char* reference;  // may be null where none is needed
  double limit;
};

struct DepsVerdict {
  const DepsFloor* floor;
  std::string text;                          // the demand
  std::optional<double> figure{};            // nothing: not measured
  std::optional<measure::Verdict> rounds{};  // where it is about times that are paired
  bool met = false;
};

struct DepsReport {
  measure::Machine machine;
  double load_before = 0;
  double load_after = 0;
  DepsShape shape;
  unsigned processes = 0;
  unsigned rounds = 0;
  unsigned max_seconds = 0;
  std::string directory;
  std::vector<DepsRow> rows;
  std::vector<DepsVerdict> verdicts;

  const DepsRow* find(std::string_view way) const;
};

std::span<const DepsFloor> deps_floors();
// Those of as many libraries as there were.
std::vector<DepsVerdict> judge_deps_floors(const DepsReport& report);
// "412.31x", "31.2 ms", "0.04x", "812".
std::string deps_figure(DepsDemandKind kind, double figure);
// "met", "missed", "-"; with "?" where the rounds don't agree.
std::string deps_verdict_word(const DepsVerdict& verdict);
// The demand and what was measured, without the word.
std::string deps_verdict_text(const DepsVerdict& verdict);

// What stands above all figures: where, when, what.
std::string deps_circumstances(const DepsReport& report);
std::string deps_subject(const DepsReport& report);

std::string deps_text(const DepsReport& report);
std::string deps_json(const DepsReport& report);
std::string deps_html(const DepsReport& report);

}  // namespace prewarm::cli
