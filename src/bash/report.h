// SPDX-License-Identifier: GPL-3.0-or-later
//
// --stats: the table at the end of a run, and the same as JSON.
#pragma once

#include <string>

#include "bash/tally.h"

namespace prewarm::bash {

std::string stats_table(const Tally& tally);
std::string stats_json(const Tally& tally);

}  // namespace prewarm::bash
