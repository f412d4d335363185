// SPDX-License-Identifier: MIT
//
// `prewarm pool`: the owner of pools, and what it can be asked.
#pragma once

#include <string>

namespace prewarm::cli {

int pool_serve(bool background);
int pool_list(bool json);
int pool_stats(bool json);
int pool_stop(const std::string& program);  // empty: all, and the owner

}  // namespace prewarm::cli
