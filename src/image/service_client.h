// SPDX-License-Identifier: MIT
//
// The loader service as the command's other parts see it: starting it, and what people ask of it.
// Map requests: map_client.h.
#pragma once

#include <cstdint>
#include <string>

#include "image/wire.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

class ServiceClient {
 public:
  // To this user's service. ENOENT, ECONNREFUSED: there is none.
  static os::Result<ServiceClient> connect();

  struct Said {
    std::uint64_t count = 0;  // images that are there, were released or forgotten
    std::string text;         // `list`: JSON
  };
  // Waits, at most 10 s.
  os::Result<Said> list() { return ask(ControlKind::list, {}); }
  os::Result<Said> collect_garbage() { return ask(ControlKind::gc, {}); }
  // `program`: its absolute path.
  os::Result<Said> remove(const std::string& program) { return ask(ControlKind::remove, program); }
  // It ends after the answer.
  os::Result<Said> stop() { return ask(ControlKind::stop, {}); }

 private:
  explicit ServiceClient(os::Fd socket) : socket_(std::move(socket)) {}
  os::Result<Said> ask(ControlKind kind, const std::string& path);

  os::Fd socket_;
};

// Has one serve, if none does: runs `prewarmd --background`, which returns when it does.
// `prewarmd`: its file.
os::Result<void> start_service(const std::string& prewarmd);

}  // namespace prewarm::image
