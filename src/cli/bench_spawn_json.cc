// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "cli/bench_spawn_report.h"
#include "cli/bench_spawn_ways.h"

namespace prewarm::cli {
namespace {

using Json = nlohmann::ordered_json;

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
  if (!v.verdict) return json;
  json["of_medians"] = v.verdict->measured;
  json["of_minima"] = v.of_minima;
  json["rounds_first_quartile"] = v.verdict->rounds.first_quartile;
  json["rounds_median"] = v.verdict->rounds.median;
  json["rounds_third_quartile"] = v.verdict->rounds.third_quartile;
  json["met"] = v.verdict->met;
  json["rounds_agree"] = v.verdict->clear;
  return json;
}

}  // namespace

std::string spawn_json(const SpawnReport& report) {
  Json json = {{"benchmark", "prewarm bench spawn"},
               {"format", kFormat},
               {"time", report.machine.time},
               {"machine",
                {{"processor", report.machine.processor},
                 {"processors", report.machine.processors},
                 {"kernel", report.machine.kernel},
                 {"load_before", report.load_before},
                 {"load_after", report.load_after}}},
               {"runs", report.runs},
               {"rounds", report.rounds},
               {"quick", report.quick},
               {"notes", report.notes},
               {"ways", Json::array()},
               {"times", Json::array()},
               {"rates", Json::array()},
               {"floors", Json::array()}};
  for (const SpawnWayKind& way : spawn_way_kinds()) {
    json["ways"].push_back({{"way", way.name}, {"label", way.label}});
  }
  for (const SpawnCell& cell : report.cells) {
    json[cell.outstanding == 0 ? "times" : "rates"].push_back(cell_json(cell));
  }
  for (const SpawnVerdict& v : report.verdicts) json["floors"].push_back(floor_json(v));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace prewarm::cli
