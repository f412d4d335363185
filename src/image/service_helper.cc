// SPDX-License-Identifier: MIT
#include "image/service_helper.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "os/process.h"

namespace prewarm::image {
namespace {

[[noreturn]] void run(const HelperWork& work, int socket) {
  const HelperResult result = work();
  std::vector<int> descriptors;
  for (const os::Fd& fd : result.descriptors) descriptors.push_back(fd.get());
  const std::string bytes = std::string(as_bytes(result.refusal)) + result.text;
  const int error = send_packet(socket, bytes, descriptors, 0);
  ::_exit(error == 0 ? 0 : 1);
}

}  // namespace

void close_all_but(std::vector<int> keep) {
  std::ranges::sort(keep);
  int next = STDERR_FILENO + 1;
  for (const int fd : keep) {
    if (fd < next) continue;
    if (fd > next) ::close_range(static_cast<unsigned>(next), static_cast<unsigned>(fd) - 1, 0);
    next = fd + 1;
  }
  ::close_range(static_cast<unsigned>(next), ~0U, 0);
}

Helper::Helper(const HelperWork& work, std::span<const int> keep, std::int64_t deadline_ns)
    : deadline_ns_(deadline_ns) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  os::Fd ours(ends[0]);
  const os::Fd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::vector<int> kept(keep.begin(), keep.end());
    kept.push_back(theirs.get());
    close_all_but(std::move(kept));
    run(work, theirs.get());
  }
  if (pid < 0) return;
  process_ = os::watch(pid);
  socket_ = std::move(ours);
}

Helper::~Helper() {
  // A pidfd: its number may be somebody else's by now.
  if (process_.valid()) ::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0);
}

HelperResult Helper::take() {
  HelperResult result;
  Packet packet;
  constexpr std::size_t kMost = sizeof result.refusal + HelperResult::kMaxText;
  if (receive_packet(socket_.get(), kMost, MSG_DONTWAIT, packet) != Arrival::packet) return result;
  std::string_view bytes = packet.bytes;
  if (!take_head(bytes, result.refusal)) return result;
  result.text = bytes;
  result.descriptors = std::move(packet.descriptors);
  return result;
}

}  // namespace prewarm::image
