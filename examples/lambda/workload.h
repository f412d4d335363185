// SPDX-License-Identifier: MIT
//
// The events that the demo hands out, and what the handler must answer.

#pragma once

#include <cstdint>

#include "exchange.h"

namespace lambda {

// Event `number` of a demo run. `salt` differs between runs and runtimes, and
// with it all request ids, so that an answer that went astray is never right.
Event make_event(uint64_t salt, int number);

}  // namespace lambda
