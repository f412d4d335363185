// SPDX-License-Identifier: MIT
#include <nlohmann/json.hpp>

#include "cli/bench_deps_report.h"
#include "measure/report_json.h"

namespace prewarm::cli {
namespace {

using measure::Json;

constexpr int kFormat = 1;  // of this file; raised when a field changes its meaning

Json memory_json(const DepsMemory& memory) {
  return {{"mappings", memory.mappings},
          {"rss_kib", memory.rss},
          {"pss_kib", memory.pss},
          {"private_kib", memory.private_part},
          {"page_tables_kib", memory.page_tables}};
}

Json row_json(const DepsRow& row) {
  Json json = {{"way", row.way->name}, {"label", row.way->label}};
  if (!row.measured()) {
    json["absent"] = row.absent;
    return json;
  }
  const measure::Summary s = measure::summarize(row.samples);
  json["to_main_us"] = {{"n", s.count},
                        {"minimum", s.minimum},
                        {"first_quartile", s.first_quartile},
                        {"median", s.median},
                        {"third_quartile", s.third_quartile},
                        {"p90", s.p90}};
  json["samples_us"] = row.samples;
  json["processor_us"] = row.processor;
  if (row.build_us) json["build_us"] = *row.build_us;
  json["alone"] = memory_json(row.alone);
  json["together"] = memory_json(row.together.memory);
  json["together"]["processes"] = row.together.processes;
  json["pss_of_all_kib"] = row.together.pss;
  json["pss_of_all_reckoned"] = row.together.reckoned;
  return json;
}

Json floor_json(const DepsVerdict& v) {
  Json json = {{"way", v.floor->way},
               {"limit", v.floor->limit},
               {"text", v.text},
               {"measured", v.figure.has_value()}};
  if (v.floor->reference != nullptr) json["reference"] = v.floor->reference;
  if (!v.figure) return json;
  json["figure"] = *v.figure;
  json["met"] = v.met;
  if (!v.rounds) return json;
  measure::add_rounds(json, v.rounds->rounds);
  json["rounds_agree"] = v.rounds->clear;
  return json;
}

}  // namespace

std::string deps_json(const DepsReport& report) {
  Json json = measure::report_head("prewarm bench deps", kFormat, report.machine,
                                   report.load_before, report.load_after);
  const DepsShape& shape = report.shape;
  json["libraries"] = {{"count", shape.libs},
                       {"functions", shape.functions},
                       {"graph", graph_name(shape.graph)},
                       {"dependencies", shape.deps},
                       {"cxx", shape.cxx},
                       {"tls", shape.tls},
                       {"versions", shape.versions},
                       {"max_page_size", shape.max_page_size},
                       {"directory", report.directory}};
  json["processes"] = report.processes;
  json["rounds"] = report.rounds;
  json["max_seconds"] = report.max_seconds;
  for (const char* list : {"ways", "floors"}) json[list] = Json::array();
  for (const DepsRow& row : report.rows) json["ways"].push_back(row_json(row));
  for (const DepsVerdict& v : report.verdicts) json["floors"].push_back(floor_json(v));
  return measure::report_text(json);
}

}  // namespace prewarm::cli
