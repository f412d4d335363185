// SPDX-License-Identifier: MIT
#include "coproc/owner_client.h"

#include <errno.h>

#include "coproc/runtime_directory.h"
#include "prewarm/command.h"

namespace prewarm::coproc {
namespace {

os::Result<Client> connect_and_greet(const std::string& path) {
  auto client = Client::connect(path);
  if (!client) return client;
  if (const auto greeting = client->greet(); !greeting) return std::unexpected(greeting.error());
  return client;
}

// EPIPE, ECONNRESET: the owner was just ending.
bool nobody_serves(int code) {
  return code == ENOENT || code == ECONNREFUSED || code == EPIPE || code == ECONNRESET;
}

}  // namespace

os::Result<Client> connect_to_owner(const std::string& prewarm) {
  const auto directory = runtime_directory();
  if (!directory) return std::unexpected(directory.error());
  const std::string path = pool_socket_path(*directory);
  auto client = connect_and_greet(path);
  if (client || prewarm.empty() || !nobody_serves(client.error().code)) return client;
  // Returns when the owner, which it leaves behind, serves; or when another one does.
  const auto started = Command(prewarm)
                           .args({"pool", "serve", "--background"})
                           .signals(Signals::all_default)
                           .in(Stdio::null())
                           .out(Stdio::null())
                           .err(Stdio::null())
                           .run();
  if (!started) return std::unexpected(started.error());
  return connect_and_greet(path);
}

}  // namespace prewarm::coproc
