// SPDX-License-Identifier: MIT
//
// Messages of the coprocess protocols: what is accepted is what would be printed, but for fields in
// other spellings there are none; and however the text is cut, the same is taken.
#include <cstdint>
#include <string_view>

#include "coproc/invocation.h"
#include "coproc/message.h"
#include "invariant.h"

namespace {

using namespace prewarm::coproc;

// What the structures make of it they make of their own text, too.
void must_survive(const Message& message) {
  if (const auto invocation = invocation_of(message)) {
    const Message again = to_message(*invocation, message.id);
    const auto back = invocation_of(again);
    PREWARM_MUST(back.has_value());
    PREWARM_MUST(to_message(*back, message.id) == again);
  }
  if (const auto outcome = outcome_of(message)) {
    const Message again = to_message(*outcome, message.id);
    const auto back = outcome_of(again);
    PREWARM_MUST(back.has_value());
    PREWARM_MUST(to_message(*back, message.id) == again);
  }
  if (const auto greeting = greeting_of(message)) {
    const Message again = to_message(*greeting, message.id);
    const auto back = greeting_of(again);
    PREWARM_MUST(back.has_value());
    PREWARM_MUST(to_message(*back, message.id) == again);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string_view rest = text;
  const auto taken = take_message(rest);
  if (!taken || !*taken) {
    PREWARM_MUST(rest == text);
    PREWARM_MUST(!parse_message(text));
    return 0;
  }
  const std::string_view used = text.substr(0, size - rest.size());
  // There is one text for each message.
  const auto printed = print_message(**taken);
  PREWARM_MUST(printed.has_value());
  PREWARM_MUST(*printed == used);
  const auto parsed = parse_message(used);
  PREWARM_MUST(parsed.has_value());
  PREWARM_MUST(*parsed == **taken);
  for (std::size_t n : {std::size_t{0}, used.size() / 2, used.size() - 1}) {
    std::string_view part = used.substr(0, n);
    const auto early = take_message(part);
    PREWARM_MUST(early.has_value() && !*early);
  }
  must_survive(**taken);
  return 0;
}
