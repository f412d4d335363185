// SPDX-License-Identifier: MIT
#include "measure/report_json.h"

#include <nlohmann/json.hpp>

namespace prewarm::measure {

Json report_head(const char* benchmark, int format, const Machine& machine, double load_before,
                 double load_after) {
  return {{"benchmark", benchmark},
          {"format", format},
          {"time", machine.time},
          {"machine",
           {{"processor", machine.processor},
            {"processors", machine.processors},
            {"kernel", machine.kernel},
            {"load_before", load_before},
            {"load_after", load_after}}}};
}

void add_rounds(Json& json, const Summary& rounds) {
  json["rounds_first_quartile"] = rounds.first_quartile;
  json["rounds_median"] = rounds.median;
  json["rounds_third_quartile"] = rounds.third_quartile;
}

void add_figures(Json& json, const Verdict& verdict, std::optional<double> of_minima) {
  json["of_medians"] = verdict.measured;
  if (of_minima) json["of_minima"] = *of_minima;
  add_rounds(json, verdict.rounds);
  json["met"] = verdict.met;
  json["rounds_agree"] = verdict.clear;
}

std::string report_text(const Json& report) {
  // Errors and names quote what others wrote, which may be anything.
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace prewarm::measure
