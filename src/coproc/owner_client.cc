// SPDX-License-Identifier: MIT
#include "coproc/owner_client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "coproc/owner_socket.h"
#include "os/runtime_directory.h"
#include "prewarm/command.h"

namespace prewarm::coproc {
namespace {

// An owner that is stopped, or has no processor: after that time it is done without.
constexpr time_t kPatienceSeconds = 10;
// An owner may end just when it was found, for want of clients. That doesn't happen often.
constexpr int kMostStarts = 5;

os::Result<Client> connect_and_greet(const std::string& path) {
  auto client = Client::connect(path);
  if (!client) return client;
  const auto limit_time = [&client](timeval time) {
    ::setsockopt(client->fd(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  };
  limit_time({kPatienceSeconds, 0});
  if (const auto greeting = client->greet(); !greeting) return std::unexpected(greeting.error());
  limit_time({0, 0});
  return client;
}

// EPIPE, ECONNRESET: the owner was just ending.
bool nobody_serves(int code) {
  return code == ENOENT || code == ECONNREFUSED || code == EPIPE || code == ECONNRESET;
}

}  // namespace

os::Result<Client> connect_to_owner(const std::string& prewarm) {
  const auto directory = os::runtime_directory();
  if (!directory) return std::unexpected(directory.error());
  const std::string path = pool_socket_path(*directory);
  auto client = connect_and_greet(path);
  for (int starts = 0; starts < kMostStarts; ++starts) {
    if (client || prewarm.empty() || !nobody_serves(client.error().code)) break;
    // Returns when the owner, which it leaves behind, serves; or when another one does.
    const auto started = Command(prewarm)
                             .args({"pool", "serve", "--background"})
                             .signals(Signals::all_default)
                             .in(Stdio::null())
                             .out(Stdio::null())
                             .err(Stdio::null())
                             .run();
    if (!started) return std::unexpected(started.error());
    if (!started->success()) {
      return os::failed_with(0, "start the owner of the pools", "(`prewarm pool serve` says why)");
    }
    client = connect_and_greet(path);
  }
  return client;
}

}  // namespace prewarm::coproc
