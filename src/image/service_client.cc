// SPDX-License-Identifier: MIT
#include "image/service_client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <span>

#include "image/packet.h"
#include "image/refusal.h"
#include "image/service_socket.h"
#include "os/runtime_directory.h"
#include "prewarm/command.h"

namespace prewarm::image {
namespace {

constexpr timeval kPatience{10, 0};

std::string read_text(const os::Fd& memfd) {
  std::string text;
  char buffer[65536];
  off_t at = 0;
  for (;;) {
    const ssize_t n = ::pread(memfd.get(), buffer, sizeof buffer, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
    at += n;
  }
}

}  // namespace

os::Result<ServiceClient> ServiceClient::connect() {
  const auto directory = os::runtime_directory();
  if (!directory) return std::unexpected(directory.error());
  auto socket = connect_to_service(*directory + kServiceSocketName);
  if (!socket) return std::unexpected(socket.error());
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return ServiceClient(std::move(*socket));
}

os::Result<ServiceClient::Said> ServiceClient::ask(ControlKind kind, const std::string& path) {
  constexpr const char* kOperation = "ask the loader service";
  if (path.size() > kMaxPathBytes) return os::failed_with(ENAMETOOLONG, kOperation);
  ControlRequest request;
  request.kind = kind;
  request.path_bytes = static_cast<std::uint32_t>(path.size());
  const std::string bytes = std::string(as_bytes(request)) + path;
  if (const int error = send_packet(socket_.get(), bytes, {}, 0); error != 0) {
    return os::failed_with(error, kOperation);
  }
  Packet packet;
  const Arrival arrival = receive_packet(socket_.get(), sizeof(ControlAnswer), 0, packet);
  if (arrival == Arrival::nothing) return os::failed_with(ETIMEDOUT, kOperation);
  ControlAnswer answer;
  std::string_view left = packet.bytes;
  if (arrival != Arrival::packet || !take_head(left, answer) || answer.magic != kControlMagic ||
      answer.version != kMapVersion || packet.descriptors.size() != answer.descriptors) {
    return os::failed_with(EPROTO, kOperation);
  }
  Said said{answer.count, {}};
  if (!packet.descriptors.empty()) said.text = read_text(packet.descriptors[0]);
  return said;
}

os::Result<void> start_service(const std::string& prewarmd) {
  auto started = Command(prewarmd)
                     .arg("--background")
                     .signals(Signals::all_default)
                     .in(Stdio::null())
                     .out(Stdio::null())
                     .err(Stdio::null())
                     .run();
  if (!started) return std::unexpected(started.error());
  if (!started->success()) {
    return os::failed_with(0, "start the loader service", "(`prewarmd` says why)");
  }
  return {};
}

}  // namespace prewarm::image
