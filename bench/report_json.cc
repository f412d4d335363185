// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "bench/report.h"
#include "measure/report_json.h"

namespace prewarm::bench {
namespace {

using measure::Json;

constexpr int kFormat = 1;  // of this file; raised when a field changes its meaning

Json ratio_json(const Measured& measured, const Series& series, std::size_t metric) {
  Json json = {{"of_minima", minima_ratio(measured, series, metric)},
               {"of_medians", medians_ratio(measured, series, metric)}};
  measure::add_rounds(json, rounds_ratio(measured, series, metric));
  return json;
}

Json series_json(const Measured& measured, const Series& series, std::size_t metric) {
  const Summary s = summarize(series.samples[metric]);
  Json json = {{"variant", series.variant},
               {"minimum_us", s.minimum},
               {"first_quartile_us", s.first_quartile},
               {"median_us", s.median},
               {"third_quartile_us", s.third_quartile},
               {"p90_us", s.p90},
               {"spread", s.spread()}};
  if (&series != &measured.series.front()) {
    json["times_faster_than_baseline"] = ratio_json(measured, series, metric);
  }
  json["samples_us"] = series.samples[metric];
  return json;
}

const char* kind_name(DemandKind kind) {
  switch (kind) {
    case DemandKind::faster_at_least:
      return "times_faster_at_least";
    case DemandKind::time_at_most:
      return "time_ratio_at_most";
    case DemandKind::time_within:
      return "time_ratio_within";
    case DemandKind::excess_ms_at_most:
      return "excess_ms_at_most";
    case DemandKind::us_at_most:
      return "us_at_most";
  }
  return "";
}

Json verdict_json(const Verdict& v) {
  Json json = {{"text", demand_text(v.demand)},
               {"kind", kind_name(v.demand.kind)},
               {"variant", v.demand.variant},
               {"reference", v.demand.reference},
               {"limit", v.demand.limit}};
  measure::add_figures(json, v);
  return json;
}

Json case_json(const CaseReport& report) {
  Json json = {{"name", report.name}, {"what", report.what}};
  if (!report.error.empty()) {
    json["error"] = report.error;
    return json;
  }
  const Measured& m = report.measured;
  if (!m.skipped.empty()) {
    json["skipped"] = m.skipped;
    return json;
  }
  json["sample"] = m.sample;
  if (!m.note.empty()) json["note"] = m.note;
  json["rounds"] = m.series.front().samples.front().size();
  json["baseline"] = m.series.front().variant;
  json["metrics"] = Json::array();
  for (std::size_t metric = 0; metric < m.metrics.size(); ++metric) {
    Json variants = Json::array();
    for (const Series& series : m.series) variants.push_back(series_json(m, series, metric));
    json["metrics"].push_back({{"name", m.metrics[metric]}, {"variants", std::move(variants)}});
  }
  json["floors"] = Json::array();
  for (const Verdict& v : report.verdicts) json["floors"].push_back(verdict_json(v));
  return json;
}

}  // namespace

std::string to_json(const Report& report) {
  Json json = measure::report_head("prewarm-bench", kFormat, report.machine, report.load_before,
                                   report.load_after);
  json["rounds"] = report.rounds;
  json["quick"] = report.quick;
  json["cases"] = Json::array();
  for (const CaseReport& c : report.cases) json["cases"].push_back(case_json(c));
  return measure::report_text(json);
}

}  // namespace prewarm::bench
