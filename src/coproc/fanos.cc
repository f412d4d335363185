// SPDX-License-Identifier: MIT
#include "coproc/fanos.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "coproc/message.h"

namespace prewarm::coproc {
namespace {

constexpr std::size_t kReadBytes = 65536;
constexpr std::size_t kMaxLengthDigits = 9;
// Linux sends no more by one message (SCM_MAX_FD). Room for all of them, so that what is too many
// is closed by us and not lost.
constexpr std::size_t kMostDescriptors = 253;

void take_descriptors(msghdr& header, std::vector<os::Fd>& into) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      into.emplace_back(fd);
    }
  }
}

}  // namespace

Received PacketReader::receive(int socket, int flags) {
  char bytes[kReadBytes];
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  iovec part{bytes, sizeof bytes};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t n;
  do {
    n = ::recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno == EAGAIN) return Received::nothing;
    return errno == ECONNRESET ? Received::unread_lost : Received::failed;
  }
  if (n == 0) return Received::end;
  if (taken_ > 0) {
    dropped_ += taken_;
    buffer_.erase(0, taken_);
    taken_ = 0;
  }
  buffer_.append(bytes, static_cast<std::size_t>(n));
  Attached attached{dropped_ + buffer_.size() - 1, {}, (header.msg_flags & MSG_CTRUNC) != 0};
  take_descriptors(header, attached.descriptors);
  // The kernel may put bytes before those that carry descriptors, and never any after them: they
  // belong to the packet that the last byte is of.
  if (attached.lost || !attached.descriptors.empty()) attached_.push_back(std::move(attached));
  return Received::some;
}

std::expected<std::optional<Packet>, const char*> PacketReader::next() {
  const auto rest = std::string_view(buffer_).substr(taken_);
  const auto colon = rest.substr(0, kMaxLengthDigits + 1).find(':');
  if (colon == std::string_view::npos) {
    const bool digits =
        std::all_of(rest.begin(), rest.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (rest.size() > kMaxLengthDigits || !digits) return std::unexpected("it has no length");
    return std::nullopt;
  }
  const auto length = parse_number(rest.substr(0, colon), kMaxMessageBytes);
  if (!length) return std::unexpected("its length is not one, or is too large");
  const std::size_t whole = colon + 1 + static_cast<std::size_t>(*length) + 1;
  if (rest.size() < whole) return std::nullopt;
  if (rest[whole - 1] != ',') return std::unexpected("no comma follows it");
  Packet packet;
  packet.payload = rest.substr(colon + 1, static_cast<std::size_t>(*length));
  taken_ += whole;
  while (!attached_.empty() && attached_.front().at < dropped_ + taken_) {
    auto& descriptors = attached_.front().descriptors;
    packet.descriptors_lost = packet.descriptors_lost || attached_.front().lost;
    std::move(descriptors.begin(), descriptors.end(), std::back_inserter(packet.descriptors));
    attached_.pop_front();
  }
  return packet;
}

os::Result<std::optional<Packet>> receive_packet(int socket, PacketReader& reader) {
  for (;;) {
    auto packet = reader.next();
    if (!packet) return os::failed_with(EPROTO, "read a packet", packet.error());
    if (*packet) return std::move(*packet);
    switch (reader.receive(socket)) {
      case Received::some:
        break;
      case Received::end:
        if (!reader.inside_packet()) return std::nullopt;
        return os::failed_with(EPROTO, "read a packet", "it ends too early");
      case Received::unread_lost:
        return os::failed_with(ECONNRESET, "read a packet");
      case Received::nothing:
        return os::failed_with(EAGAIN, "read a packet");
      case Received::failed:
        return os::failed("read a packet");
    }
  }
}

PacketWriter::PacketWriter(std::string_view payload, std::span<const int> descriptors)
    : descriptors_(descriptors.begin(), descriptors.end()) {
  bytes_ = std::to_string(payload.size());
  bytes_.reserve(bytes_.size() + payload.size() + 2);
  bytes_ += ':';
  bytes_ += payload;
  bytes_ += ',';
}

os::Result<bool> PacketWriter::send(int socket, int flags) {
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
  while (sent_ < bytes_.size()) {
    iovec part{bytes_.data() + sent_, bytes_.size() - sent_};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (sent_ == 0 && !descriptors_.empty()) {
      const std::size_t size = descriptors_.size() * sizeof(int);
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(size);
      cmsghdr* c = CMSG_FIRSTHDR(&header);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_RIGHTS;
      c->cmsg_len = CMSG_LEN(size);
      std::memcpy(CMSG_DATA(c), descriptors_.data(), size);
    }
    const ssize_t n = ::sendmsg(socket, &header, flags | MSG_NOSIGNAL);
    if (n >= 0) {
      sent_ += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return false;
    } else if (errno != EINTR) {
      return os::failed("send a packet");
    }
  }
  return true;
}

os::Result<void> send_packet(int socket, std::string_view payload,
                             std::span<const int> descriptors) {
  PacketWriter writer(payload, descriptors);
  const auto sent = writer.send(socket);
  if (!sent) return std::unexpected(sent.error());
  if (!*sent) return os::failed_with(EAGAIN, "send a packet");
  return {};
}

}  // namespace prewarm::coproc
