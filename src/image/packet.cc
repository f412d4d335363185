// SPDX-License-Identifier: MIT
#include "image/packet.h"

#include <errno.h>
#include <sys/socket.h>

#include <cstring>

namespace prewarm::image {
namespace {

union ControlBuffer {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kMaxPacketDescriptors)];
};

void take_descriptors(msghdr& message, std::vector<os::Fd>& descriptors) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
}

}  // namespace

Arrival receive_packet(int socket, std::size_t most, int flags, Packet& packet) {
  packet.descriptors.clear();
  packet.bytes.resize(most);
  ControlBuffer control;
  iovec part{packet.bytes.data(), most};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t n;
  do {
    n = ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? Arrival::nothing : Arrival::broken;
  take_descriptors(message, packet.descriptors);
  packet.bytes.resize(static_cast<std::size_t>(n));
  // Nobody sends empty messages; this is how the end looks.
  if (n == 0) return Arrival::ended;
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Arrival::broken;
  return Arrival::packet;
}

int send_packet(int socket, std::string_view bytes, std::span<const int> descriptors, int flags) {
  ControlBuffer control;
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    if (descriptors.size() > kMaxPacketDescriptors) return E2BIG;
    const std::size_t size = sizeof(int) * descriptors.size();
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), descriptors.data(), size);
  }
  ssize_t n;
  do {
    n = ::sendmsg(socket, &message, flags | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? errno : 0;
}

}  // namespace prewarm::image
