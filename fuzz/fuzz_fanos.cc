// SPDX-License-Identifier: MIT
//
// FANOS packets over a socket: the same come out however the bytes are cut into pieces; each
// descriptor that arrives belongs to one packet, or is closed with the reader.
//
// Input: a byte that says where the bytes are cut and which pieces carry descriptors, and the
// bytes.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "coproc/fanos.h"
#include "invariant.h"

namespace {

using namespace prewarm;
using coproc::PacketReader;
using coproc::Received;

// Less than a socket holds, so that nothing here ever waits.
constexpr std::size_t kMaxBytes = 32768;

struct Seen {
  std::vector<std::string> payloads;
  bool is_wrong = false;
  bool ends_inside = false;
  std::size_t descriptors = 0;

  bool operator==(const Seen&) const = default;
};

void send_piece(int socket, std::string_view bytes, bool with_descriptor) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (with_descriptor) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &socket, sizeof socket);
  }
  PREWARM_MUST(::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) ==
               static_cast<ssize_t>(bytes.size()));
}

void take(PacketReader& reader, Seen& result) {
  while (!result.is_wrong) {
    auto packet = reader.next();
    result.is_wrong = !packet.has_value();
    if (result.is_wrong || !*packet) return;
    PREWARM_MUST(!(*packet)->descriptors_lost);
    for (const auto& fd : (*packet)->descriptors) {
      PREWARM_MUST(::fcntl(fd.get(), F_GETFD) == FD_CLOEXEC);
    }
    result.descriptors += (*packet)->descriptors.size();
    result.payloads.push_back(std::move((*packet)->payload));
  }
}

// `size`: of each piece. One in `every` carries a descriptor; 0: none does.
Seen read_in_pieces(std::string_view bytes, std::size_t size, std::size_t every) {
  int ends[2];
  PREWARM_MUST(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  os::Fd ours(ends[0]);
  const os::Fd theirs(ends[1]);
  Seen result;
  {
    PacketReader reader;
    std::size_t sent = 0;
    for (std::size_t at = 0; at < bytes.size() && !result.is_wrong; at += size, ++sent) {
      send_piece(ours.get(), bytes.substr(at, size), every > 0 && sent % every == 0);
      while (reader.receive(theirs.get(), MSG_DONTWAIT) == Received::some) take(reader, result);
    }
    ours.reset();
    // A descriptor that nobody has taken is another end of the connection.
    const Received end = reader.receive(theirs.get(), MSG_DONTWAIT);
    PREWARM_MUST(end == Received::end || end == Received::nothing);
    result.ends_inside = !result.is_wrong && reader.inside_packet();
  }
  char byte;
  PREWARM_MUST(::recv(theirs.get(), &byte, 1, MSG_DONTWAIT) <= 0);
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > kMaxBytes) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t piece = 1 + (data[0] & 15U);
  const Seen whole = read_in_pieces(bytes, bytes.size(), 0);
  PREWARM_MUST(whole.descriptors == 0);
  // Large inputs in tiny pieces only cost time.
  const std::size_t cut = std::max(piece, bytes.size() / 64);
  PREWARM_MUST(read_in_pieces(bytes, cut, 0) == whole);
  Seen carried = read_in_pieces(bytes, cut, 1 + (data[0] >> 4));
  carried.descriptors = 0;
  PREWARM_MUST(carried == whole);
  return 0;
}
