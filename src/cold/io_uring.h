// SPDX-License-Identifier: MIT
//
// The kernel's own operations to clone and exec, as proposed: "Launching processes with io_uring"
// (Gabriel Krisman Bertazi and Josh Triplett, RFC of December 2024). No released kernel has them,
// so their numbers come from the ring's options, and what this does has been tried on none: only
// that everything without them is refused.
#pragma once

#include <memory>

#include "cold/backend.h"
#include "prewarm/result.h"

namespace prewarm::cold {

class IoUring {
 public:
  // ENOTSUP if the kernel hasn't these operations; or why there is no io_uring here at all.
  static Result<std::unique_ptr<IoUring>> create(int opcode_clone, int opcode_exec);
  IoUring(const IoUring&) = delete;
  IoUring& operator=(const IoUring&) = delete;
  ~IoUring();

  // Submits the chain and waits for its completions. Of the other operations io_uring has only
  // close in a form that acts on the new task; the rest is -EOPNOTSUPP.
  Started start(Chain& chain);

 private:
  struct Ring;
  explicit IoUring(std::unique_ptr<Ring> ring);
  std::unique_ptr<Ring> ring_;
};

}  // namespace prewarm::cold
