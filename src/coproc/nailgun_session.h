// SPDX-License-Identifier: MIT
//
// One nailgun client: its command is run by a worker, or as a batch process if none serves it; its
// streams are copied.
#pragma once

#include <string>

#include "os/fd.h"

namespace prewarm::coproc {

struct NailgunOptions {
  std::string prewarm;       // the command's own file, which starts the owner of pools
  std::string declarations;  // see prewarm-coprocesses(5); may be empty
};

// Serves the client at `socket` until it is done or gone. This process is the session's own: it
// changes its directory, and takes over its signals; SIGTERM ends what runs. No child is left.
void serve_nailgun_client(os::Fd socket, const NailgunOptions& options);

}  // namespace prewarm::coproc
