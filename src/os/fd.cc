// SPDX-License-Identifier: MIT
#include "os/fd.h"

#include <fcntl.h>

namespace prewarm::os {

Fd move_above(Fd fd, int floor) {
  if (!fd.valid() || fd.get() >= floor) return fd;
  return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, floor));
}

}  // namespace prewarm::os
