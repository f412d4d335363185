// SPDX-License-Identifier: MIT
#pragma once

#include "cli/call.h"
#include "coproc/client.h"
#include "coproc/invocation.h"
#include "os/result.h"

namespace prewarm::cli {

// `prewarm call --each`: `invocation` once for each argument that standard input has, with that
// added. Without an owner all run as batch processes.
int call_each(const CallOptions& options, coproc::Invocation invocation,
              os::Result<coproc::Client> owner);

}  // namespace prewarm::cli
