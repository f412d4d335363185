// SPDX-License-Identifier: MIT
#include "image/refusal.h"

#include <array>
#include <cstddef>

namespace prewarm::image {
namespace {

struct Text {
  std::string_view name, sentence;
};

constexpr std::array kTexts = {
#define PREWARM_REFUSAL_TEXT(name, sentence) Text{#name, sentence},
    PREWARM_REFUSALS(PREWARM_REFUSAL_TEXT)
#undef PREWARM_REFUSAL_TEXT
};

const Text& text(Refusal refusal) {
  const auto at = static_cast<std::size_t>(refusal);
  return kTexts[at < kTexts.size() ? at : static_cast<std::size_t>(Refusal::build_failed)];
}

}  // namespace

std::string_view refusal_name(Refusal refusal) { return text(refusal).name; }
std::string_view refusal_sentence(Refusal refusal) { return text(refusal).sentence; }

}  // namespace prewarm::image
