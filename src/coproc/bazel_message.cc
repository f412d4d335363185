// SPDX-License-Identifier: MIT
#include "coproc/bazel_message.h"

namespace prewarm::coproc {

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[i]);
    const unsigned more = first < 0x80   ? 0
                          : first < 0xC2 ? 9
                          : first < 0xE0 ? 1
                          : first < 0xF0 ? 2
                          : first < 0xF5 ? 3
                                         : 9;
    if (more >= text.size() - i) return false;
    std::uint32_t code = more == 0 ? first : first & (0x3FU >> more);
    for (unsigned k = 1; k <= more; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3FU);
    }
    if (more == 2 && (code < 0x800 || (code >= 0xD800 && code < 0xE000))) return false;
    if (more == 3 && (code < 0x10000 || code > 0x10FFFF)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace prewarm::coproc
