// SPDX-License-Identifier: MIT
//
// Messages with descriptors over SOCK_SEQPACKET sockets, as the loader service and its processes
// send them.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/format.h"
#include "os/fd.h"

namespace prewarm::image {

inline constexpr std::size_t kMaxPacketDescriptors = kMaxMappedFiles + 1;

struct Packet {
  std::string bytes;
  std::vector<os::Fd> descriptors;
};

enum class Arrival : std::uint8_t {
  packet,
  nothing,  // now (MSG_DONTWAIT), or within the socket's SO_RCVTIMEO
  ended,    // the other side has closed it
  broken,   // failed, longer than asked for, or descriptors were lost on the way
};

// The next message of at most `most` bytes. `flags`: of recvmsg(2).
Arrival receive_packet(int socket, std::size_t most, int flags, Packet& packet);

// Sends one message, never a part of it and without SIGPIPE. 0 or an errno.
int send_packet(int socket, std::string_view bytes, std::span<const int> descriptors, int flags);

// A plain structure at the beginning of a message, and what follows it.
template <class T>
bool take_head(std::string_view& bytes, T& head) {
  if (bytes.size() < sizeof head) return false;
  std::memcpy(&head, bytes.data(), sizeof head);
  bytes.remove_prefix(sizeof head);
  return true;
}

// Whether the rest of a message, or a part of it, is an absolute path.
inline bool is_path(std::string_view text) {
  return text.starts_with('/') && text.find('\0') == std::string_view::npos;
}

template <class T>
std::string_view as_bytes(const T& head) {
  return {reinterpret_cast<const char*>(&head), sizeof head};
}

}  // namespace prewarm::image
