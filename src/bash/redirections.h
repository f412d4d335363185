// SPDX-License-Identifier: GPL-3.0-or-later
//
// A command's redirections as set-up of a LaunchRequest, done in the new process and not in the
// shell.
#pragma once

#include <vector>

#include "bash/bash_api.h"
#include "launch/request.h"

namespace prewarm::bash {

// Translates; false if any redirection must be done by a forked bash itself. Nothing has happened
// then but expansions without effect.
bool translate(REDIRECT* list, std::vector<launch::SetUp>& out);

}  // namespace prewarm::bash
