// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "cli/bench_spawn_report.h"
#include "cli/bench_spawn_ways.h"
#include "measure/report_json.h"

namespace prewarm::cli {
namespace {

using measure::Json;

constexpr int kFormat = 1;  // of this file; raised when a field changes its meaning
constexpr double kUsPerS = 1e6;

Json summary_json(std::span<const double> samples) {
  const measure::Summary s = measure::summarize(samples);
  return {{"n", s.count},
          {"minimum", s.minimum},
          {"first_quartile", s.first_quartile},
          {"median", s.median},
          {"third_quartile", s.third_quartile},
          {"p90", s.p90}};
}

Json cell_json(const SpawnCell& cell) {
  Json json = {{"way", cell.way->name}, {"caller", cell.caller->name}, {"program", cell.program}};
  if (cell.outstanding > 0) json["outstanding"] = cell.outstanding;
  if (!cell.measured()) {
    json["absent"] = cell.absent;
    return json;
  }
  if (cell.outstanding > 0) {
    std::vector<double> rates;
    for (const double us : cell.samples[kPerSpawn]) rates.push_back(kUsPerS / us);
    json["per_second"] = summary_json(rates);
    return json;
  }
  json["to_child_us"] = summary_json(cell.samples[kToChild]);
  json["blocked_us"] = summary_json(cell.samples[kBlocked]);
  json["to_end_us"] = summary_json(cell.samples[kToEnd]);
  return json;
}

Json floor_json(const SpawnVerdict& v) {
  Json json = {{"about", v.floor->about},
               {"way", v.floor->way},
               {"reference", v.floor->reference_way},
               {"limit", v.floor->limit},
               {"text", measure::demand_text(v.demand)},
               {"measured", v.verdict.has_value()}};
  if (v.verdict) measure::add_figures(json, *v.verdict, v.of_minima);
  return json;
}

}  // namespace

std::string spawn_json(const SpawnReport& report) {
  Json json = measure::report_head("prewarm bench spawn", kFormat, report.machine,
                                   report.load_before, report.load_after);
  json["runs"] = report.runs;
  json["rounds"] = report.rounds;
  json["quick"] = report.quick;
  json["notes"] = report.notes;
  for (const char* list : {"ways", "times", "rates", "floors"}) json[list] = Json::array();
  for (const SpawnWayKind& way : spawn_way_kinds()) {
    json["ways"].push_back({{"way", way.name}, {"label", way.label}});
  }
  for (const SpawnCell& cell : report.cells) {
    json[cell.outstanding == 0 ? "times" : "rates"].push_back(cell_json(cell));
  }
  for (const SpawnVerdict& v : report.verdicts) json["floors"].push_back(floor_json(v));
  return measure::report_text(json);
}

}  // namespace prewarm::cli
