// SPDX-License-Identifier: MIT
//
// FANOS packets: netstrings over a Unix stream socket, with descriptors (docs/protocol/capers.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::coproc {

struct Packet {
  std::string payload;
  std::vector<os::Fd> descriptors;
  bool descriptors_lost = false;  // more were sent than arrived (MSG_CTRUNC)
};

// What one look at a socket has brought.
enum class Received {
  some,         // bytes
  nothing,      // none are there (EAGAIN)
  end,          // the other side has closed it
  unread_lost,  // the same, and it had not read all that was sent (ECONNRESET)
  failed,       // another error, in errno
};

class PacketReader {
 public:
  // One recvmsg(2) with `flags`; keeps what it brings.
  Received receive(int socket, int flags = 0);
  // The next whole packet among that; nothing: there is none yet. An error, in words: what was
  // received is not a packet, and nothing after it can be understood.
  std::expected<std::optional<Packet>, const char*> next();
  // Whether something is there that is not a whole packet: the end is an error then.
  bool inside_packet() const { return taken_ < buffer_.size(); }

 private:
  struct Attached {
    std::uint64_t at;  // offset in the stream of the last byte that came with it
    std::vector<os::Fd> descriptors;
    bool lost;
  };

  std::string buffer_;
  std::size_t taken_ = 0;      // of buffer_
  std::uint64_t dropped_ = 0;  // bytes of the stream before buffer_
  std::deque<Attached> attached_;
};

// Waits for the next packet. Nothing: the end, between two packets. Errors: EPROTO for what is not
// a packet, ECONNRESET (see Received), and those of recvmsg(2).
os::Result<std::optional<Packet>> receive_packet(int socket, PacketReader& reader);

// A packet on its way out. Descriptors are the sender's until sent.
class PacketWriter {
 public:
  // `descriptors`: three or none.
  PacketWriter(std::string_view payload, std::span<const int> descriptors);

  // Sends as much as goes. True: all is sent. EAGAIN: more doesn't go now (only if `flags` has
  // MSG_DONTWAIT, or the socket is nonblocking).
  os::Result<bool> send(int socket, int flags = 0);
  bool has_begun() const { return sent_ > 0; }

 private:
  std::string bytes_;
  std::vector<int> descriptors_;
  std::size_t sent_ = 0;
};

// Sends a packet and waits until it has been sent.
os::Result<void> send_packet(int socket, std::string_view payload,
                             std::span<const int> descriptors = {});

}  // namespace prewarm::coproc
