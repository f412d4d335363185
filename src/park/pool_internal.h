// SPDX-License-Identifier: MIT
//
// Small things that the parts of Pool's implementation share.
#pragma once

#include "park/table.h"

namespace prewarm::park {

inline constexpr unsigned kMostIdleClones = 4;

inline std::uint32_t value(SlotState s) { return static_cast<std::uint32_t>(s); }

inline ProgramState state_of_program(const Program& p) {
  return static_cast<ProgramState>(p.state.load(std::memory_order_acquire));
}

inline bool is_warm(SlotState s) { return s == SlotState::parking || s == SlotState::idle; }

}  // namespace prewarm::park
