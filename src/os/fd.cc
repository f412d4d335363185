// SPDX-License-Identifier: MIT
#include "os/fd.h"

#include <fcntl.h>

namespace prewarm::os {

Fd move_above(Fd fd, int floor) {
  if (!fd.valid() || fd.get() >= floor) return fd;
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, floor));
  return moved.valid() ? std::move(moved) : std::move(fd);
}

}  // namespace prewarm::os
