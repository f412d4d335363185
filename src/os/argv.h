// SPDX-License-Identifier: MIT
//
// What execve(2) and posix_spawn(3) take.
#pragma once

#include <string>
#include <vector>

namespace prewarm::os {

// Pointers to the strings' own memory, and a null one behind them.
inline std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const auto& s : strings) result.push_back(const_cast<char*>(s.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace prewarm::os
