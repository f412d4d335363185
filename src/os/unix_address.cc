// SPDX-License-Identifier: MIT
#include "os/unix_address.h"

#include <cstring>

namespace prewarm::os {

std::optional<UnixAddress> UnixAddress::of(const std::string& path) {
  UnixAddress made;
  made.address_.sun_family = AF_UNIX;
  // One more, for the NUL at the end.
  if (path.size() >= sizeof made.address_.sun_path) return {};
  std::memcpy(made.address_.sun_path, path.data(), path.size());
  return made;
}

}  // namespace prewarm::os
