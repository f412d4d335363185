// SPDX-License-Identifier: MIT
//
// Addresses of sockets in the file system (unix(7)).
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <optional>
#include <string>

namespace prewarm::os {

// For connect(2) and bind(2).
class UnixAddress {
 public:
  // Nothing: the path is too long for an address.
  static std::optional<UnixAddress> of(const std::string& path);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return sizeof address_; }

 private:
  sockaddr_un address_{};
};

}  // namespace prewarm::os
