// SPDX-License-Identifier: MIT
//
// What the reports of all benchmarks have in common as JSON. Members keep the order in which they
// are added.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "measure/machine.h"
#include "measure/measured.h"

namespace prewarm::measure {

using Json = nlohmann::ordered_json;

// How a report begins: what was run, where and when. `format` is of the report's own members.
Json report_head(const char* benchmark, int format, const Machine& machine, double load_before,
                 double load_after);

// Adds how a figure was spread over the rounds.
void add_rounds(Json& json, const Summary& rounds);

// Adds what was measured for a demand, and whether that meets it. `of_minima`: the figure, were it
// of minima instead of medians.
void add_figures(Json& json, const Verdict& verdict, std::optional<double> of_minima = {});

// The text of a whole report.
std::string report_text(const Json& report);

}  // namespace prewarm::measure
