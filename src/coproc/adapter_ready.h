// SPDX-License-Identifier: MIT
//
// `prewarm adapt ready [--keep N] -- COMMAND…`: serves invocations of a program that says when it
// is ready (prewarm/ready.h), each in a copy of it that was made ahead.
//
// COMMAND is started once, at once. The first N of its words stand in front of each invocation's
// arguments; by default all but the last, which stands for the tool's name.
//
// If it can't be held, then COMMAND takes this process's place with the variables that make it a
// worker still set: it serves by itself, as well as it can.
#pragma once

#include "coproc/adapter.h"

namespace prewarm::coproc {

int adapt_ready(const AdapterOptions& options);

}  // namespace prewarm::coproc
