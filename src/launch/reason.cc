// SPDX-License-Identifier: MIT
#include "launch/reason.h"

namespace prewarm::launch {
namespace {

struct Entry {
  const char* name;
  const char* text;
};

constexpr Entry kEntries[] = {
#define PREWARM_REASON_ENTRY(name, sentence) {#name, sentence},
    PREWARM_REASONS(PREWARM_REASON_ENTRY)
#undef PREWARM_REASON_ENTRY
};

const Entry& entry(Reason reason) {
  static constexpr Entry kUnknown = {"unknown", "the reason is not known"};
  const auto index = static_cast<std::uint32_t>(reason);
  return index < static_cast<std::uint32_t>(Reason::count_) ? kEntries[index] : kUnknown;
}

}  // namespace

const char* reason_name(Reason reason) { return entry(reason).name; }
const char* reason_text(Reason reason) { return entry(reason).text; }

}  // namespace prewarm::launch
