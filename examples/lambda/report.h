// SPDX-License-Identifier: MIT
//
// From the times of single invocations to the demo's table or JSON.

#pragma once

#include <string>
#include <vector>

#include "exchange.h"

namespace lambda {

// All invocations of one runtime that count, in order.
struct Outcome {
  std::string runtime;
  std::vector<Invocation> invocations;
};

struct Summary {
  double median_us = 0;
  double p95_us = 0;
  double min_us = 0;
  double loop_median_us = 0;  // of the whole loop, event to next event
  size_t right = 0;
};

// Of at least one invocation. p95 by nearest rank.
Summary summarize(const std::vector<Invocation>& invocations);

// Both want each runtime to have at least one invocation. Ratios to bash and to
// the C++ program appear if these took part.
std::string to_table(const std::vector<Outcome>& outcomes);
std::string to_json(const std::vector<Outcome>& outcomes, const std::vector<std::string>& problems,
                    int warmup);

}  // namespace lambda
