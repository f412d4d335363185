// SPDX-License-Identifier: GPL-3.0-or-later
//
// A command's redirections as set-up of a LaunchRequest, done in the new process and not in the
// shell.
#pragma once

#include <vector>

#include "bash/bash_api.h"
#include "launch/request.h"
#include "os/fd.h"

namespace prewarm::bash {

struct Redirections {
  std::vector<launch::SetUp> set_up;
  // Here-documents, as reading ends of pipes that hold them. The set-up copies number i from
  // descriptor kFirstDocument + i, for which the caller has to find a number that is free.
  static constexpr int kFirstDocument = 1 << 20;
  std::vector<os::Fd> documents;
};

// Translates; false if any redirection must be done by a forked bash itself. Nothing has happened
// then but expansions without effect.
bool translate(REDIRECT* list, Redirections& out);

}  // namespace prewarm::bash
