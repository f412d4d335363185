// SPDX-License-Identifier: MIT
//
// The asking side of one Capers connection: to a worker, or to a server such as the owner of pools.
// The same object serves a caller that waits and an event loop (`wait` is false).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>

#include "coproc/fanos.h"
#include "coproc/invocation.h"
#include "coproc/message.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::coproc {

class Client {
 public:
  explicit Client(os::Fd socket) : socket_(std::move(socket)) {}

  // To a server's socket at `path`. ENOENT or ECONNREFUSED: nobody serves there.
  static os::Result<Client> connect(const std::string& path);

  int fd() const { return socket_.get(); }

  // `version`, and its answer. Waits.
  os::Result<Greeting> greet();

  // Sends a request; `streams` stay the caller's. Its id, for `receive` and `signal`. E2BIG: it is
  // larger than a message may be. Waits while the socket is full, unless `wait` is false: then what
  // doesn't go at once is sent by `flush`, and the streams are sent in any case or EAGAIN is
  // returned and nothing was sent.
  os::Result<std::uint32_t> send(const Invocation& invocation, std::array<int, 3> streams,
                                 bool wait = true);
  // Any other request. Its id is chosen here.
  os::Result<std::uint32_t> send(Message request, bool wait = true);
  // Delivers a signal to what runs request `id`; only if the other side takes signals.
  os::Result<void> signal(std::uint32_t id, int number);
  bool wants_to_write() const { return !outgoing_.empty(); }
  os::Result<void> flush();

  // The next answer. Waits for it, or returns nothing if `wait` is false and none is there.
  // Errors: EPROTO, what came is not an answer to anything that was asked; ECONNRESET, the other
  // side has gone and had not read all that was sent; EPIPE, it has gone.
  os::Result<std::optional<Message>> receive(bool wait = true);

  // Requests that are not answered yet.
  const std::set<std::uint32_t>& unanswered() const { return unanswered_; }

 private:
  os::Result<void> put(const Message& message, std::span<const int> descriptors, bool wait);
  std::uint32_t next_id();

  os::Fd socket_;
  PacketReader reader_;
  std::deque<PacketWriter> outgoing_;
  std::set<std::uint32_t> unanswered_;
  std::uint32_t last_id_ = 0;
};

}  // namespace prewarm::coproc
