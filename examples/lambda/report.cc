// SPDX-License-Identifier: MIT

#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace lambda {

namespace {

using Microseconds = std::chrono::duration<double, std::micro>;

std::vector<double> sorted_us(const std::vector<Invocation>& invocations,
                              std::chrono::nanoseconds Invocation::* time) {
  std::vector<double> times;
  times.reserve(invocations.size());
  for (const Invocation& invocation : invocations) {
    times.push_back(Microseconds(invocation.*time).count());
  }
  std::sort(times.begin(), times.end());
  return times;
}

double median(const std::vector<double>& sorted) {
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double percentile(const std::vector<double>& sorted, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[static_cast<size_t>(rank) - 1];
}

std::optional<double> median_of(const std::vector<Outcome>& outcomes, std::string_view runtime) {
  for (const Outcome& outcome : outcomes) {
    if (outcome.runtime == runtime) return summarize(outcome.invocations).median_us;
  }
  return std::nullopt;
}

std::string ratio_cell(std::optional<double> ratio) {
  return ratio ? fmt::format("{:.2f}x", *ratio) : "-";
}

std::optional<double> divided(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return std::nullopt;
  return *a / *b;
}

nlohmann::json number_or_null(std::optional<double> value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

}  // namespace

Summary summarize(const std::vector<Invocation>& invocations) {
  assert(!invocations.empty());
  const std::vector<double> answers = sorted_us(invocations, &Invocation::answer_time);
  Summary summary;
  summary.median_us = median(answers);
  summary.p95_us = percentile(answers, 95);
  summary.min_us = answers.front();
  summary.loop_median_us = median(sorted_us(invocations, &Invocation::loop_time));
  summary.right = static_cast<size_t>(
      std::count_if(invocations.begin(), invocations.end(), [](auto& i) { return i.right; }));
  return summary;
}

std::string to_table(const std::vector<Outcome>& outcomes) {
  const std::optional<double> bash = median_of(outcomes, "bash");
  const std::optional<double> cpp = median_of(outcomes, "cpp");
  std::string table =
      fmt::format("{:<9}{:>11}{:>11}{:>11}{:>13}{:>12}{:>12}{:>10}\n", "runtime", "median us",
                  "p95 us", "min us", "faster than", "time over", "whole loop", "right");
  table += fmt::format("{:<9}{:>11}{:>11}{:>11}{:>13}{:>12}{:>12}{:>10}\n", "", "", "", "", "bash",
                       "C++", "median us", "answers");
  for (const Outcome& outcome : outcomes) {
    const Summary s = summarize(outcome.invocations);
    table +=
        fmt::format("{:<9}{:>11.0f}{:>11.0f}{:>11.0f}{:>13}{:>12}{:>12.0f}{:>10}\n",
                    outcome.runtime, s.median_us, s.p95_us, s.min_us,
                    ratio_cell(divided(bash, s.median_us)), ratio_cell(divided(s.median_us, cpp)),
                    s.loop_median_us, fmt::format("{}/{}", s.right, outcome.invocations.size()));
  }
  return table;
}

std::string to_json(const std::vector<Outcome>& outcomes, const std::vector<std::string>& problems,
                    int warmup) {
  const std::optional<double> bash = median_of(outcomes, "bash");
  const std::optional<double> cpp = median_of(outcomes, "cpp");
  nlohmann::ordered_json report = {{"benchmark", "lambda"}, {"warmup", warmup}};
  for (const Outcome& outcome : outcomes) {
    const Summary s = summarize(outcome.invocations);
    std::vector<double> samples;
    samples.reserve(outcome.invocations.size());
    for (const Invocation& i : outcome.invocations) {
      samples.push_back(Microseconds(i.answer_time).count());
    }
    report["runtimes"][outcome.runtime] = {
        {"count", outcome.invocations.size()},
        {"right", s.right},
        {"median_us", s.median_us},
        {"p95_us", s.p95_us},
        {"min_us", s.min_us},
        {"loop_median_us", s.loop_median_us},
        {"faster_than_bash", number_or_null(divided(bash, s.median_us))},
        {"time_over_cpp", number_or_null(divided(s.median_us, cpp))},
        {"samples_us", samples},
    };
  }
  report["problems"] = problems;
  // Problems quote what a runtime sent, which may be anything.
  return report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace lambda
