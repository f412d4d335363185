// SPDX-License-Identifier: MIT
#include "image/spawner.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "image/packet.h"
#include "image/service_helper.h"
#include "image/spawner_process.h"
#include "image/wire.h"

namespace prewarm::image {
namespace {

// A disk that doesn't answer is no reason to wait for ever.
constexpr timeval kOpenPatience{10, 0};

struct Pair {
  os::Fd ours;
  os::Fd theirs;
};

os::Result<Pair> make_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return os::failed("make sockets");
  }
  return Pair{os::Fd(ends[0]), os::Fd(ends[1])};
}

}  // namespace

os::Result<SpawnerClient> SpawnerClient::start(const SpawnerOptions& options) {
  auto orders = make_pair();
  if (!orders) return std::unexpected(orders.error());
  auto opener = make_pair();
  if (!opener) return std::unexpected(opener.error());
  const pid_t pid = ::fork();
  if (pid < 0) return os::failed("start the spawner");
  if (pid == 0) {
    close_all_but({orders->theirs.get(), opener->theirs.get()});
    ::prctl(PR_SET_NAME, "prewarmd-spawn");
    SpawnerProcess(options, std::move(orders->theirs), std::move(opener->theirs)).run();
    ::_exit(EXIT_SUCCESS);
  }
  return SpawnerClient(std::move(orders->ours), std::move(opener->ours));
}

bool SpawnerClient::build(std::uint64_t id, const MapTarget& target) {
  const BuildOrder order{id,
                         target.stack_limit,
                         static_cast<std::uint32_t>(target.variant),
                         static_cast<std::uint32_t>(target.path.size()),
                         static_cast<std::uint32_t>(target.preload.size()),
                         0};
  const std::string bytes = std::string(as_bytes(order)) + target.path + target.preload;
  return send_packet(orders_.get(), bytes, {}, MSG_DONTWAIT) == 0;
}

std::optional<SpawnerClient::Built> SpawnerClient::next(bool& gone) {
  Packet packet;
  const Arrival arrival = receive_packet(orders_.get(), sizeof(BuildReport), MSG_DONTWAIT, packet);
  gone = arrival == Arrival::ended || arrival == Arrival::broken;
  BuildReport report;
  std::string_view bytes = packet.bytes;
  if (arrival != Arrival::packet || !take_head(bytes, report)) return {};
  Built built{report.id, report.refusal, {}};
  if (!packet.descriptors.empty()) built.memfd = std::move(packet.descriptors[0]);
  if (built.refusal == Refusal::none && !built.memfd.valid()) built.refusal = Refusal::build_failed;
  return built;
}

os::Fd SpawnerClient::open_file(int opener, const std::string& path) {
  // Several processes ask through one socket: each brings along where it wants the answer.
  auto answer = make_pair();
  if (!answer || path.empty() || path.size() > kMaxPathBytes) return {};
  ::setsockopt(answer->ours.get(), SOL_SOCKET, SO_RCVTIMEO, &kOpenPatience, sizeof kOpenPatience);
  const int theirs = answer->theirs.get();
  if (send_packet(opener, path, {&theirs, 1}, 0) != 0) return {};
  answer->theirs.reset();
  Packet packet;
  if (receive_packet(answer->ours.get(), 1, 0, packet) != Arrival::packet ||
      packet.descriptors.size() != 1) {
    return {};
  }
  return std::move(packet.descriptors[0]);
}

}  // namespace prewarm::image
