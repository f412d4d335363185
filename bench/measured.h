// SPDX-License-Identifier: MIT
//
// What a case yields, and what is demanded of it (measure/measured.h), by the benchmarks' own
// names.
#pragma once

#include "measure/measured.h"

namespace prewarm::bench {

using measure::Demand;
using measure::DemandKind;
using measure::Measured;
using measure::Series;
using measure::summarize;
using measure::Summary;
using measure::Verdict;

}  // namespace prewarm::bench
