// SPDX-License-Identifier: MIT
#include "image/diagnostics.h"

#include <array>
#include <charconv>

namespace prewarm::image {

std::string Diagnostics::first() const {
  if (problems_.empty()) return {};
  std::array<char, 16> digits;  // of 64 bits
  const auto end = std::to_chars(digits.begin(), digits.end(), problems_.front().where, 16).ptr;
  return std::string(problems_.front().what) + " (0x" + std::string(digits.begin(), end) + ")";
}

}  // namespace prewarm::image
