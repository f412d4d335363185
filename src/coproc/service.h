// SPDX-License-Identifier: MIT
//
// The serving side of one Capers connection, for adapters and servers with an event loop: answers
// by itself what all workers answer alike (version, echo, flush, cd, env, what is wrong), and hands
// over invocations and signals. Never blocks.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coproc/fanos.h"
#include "coproc/invocation.h"
#include "coproc/message.h"
#include "os/fd.h"

namespace prewarm::coproc {

using Streams = std::array<os::Fd, 3>;

class Service {
 public:
  struct Request {
    std::uint32_t id;
    // Complete: with a directory, and with the whole environment.
    Invocation invocation;
    Streams streams;
  };
  struct Signal {
    std::uint32_t request;
    int number;
  };
  enum class State : std::uint8_t {
    open,
    ended,   // the other side has closed it between two messages
    broken,  // what came is not Capers, or the connection failed
  };

  // Base directory and environment are this process's.
  Service(os::Fd socket, Greeting greeting);

  // What the worker's environment says: takes CAPERS_FD, and removes the variables. Nothing: this
  // process was not started as a Capers worker.
  static std::optional<os::Fd> inherited_socket();

  // Poll it for reading, and while wants_to_write() for writing.
  int fd() const { return socket_.get(); }
  bool wants_to_write() const { return !outgoing_.empty(); }

  // Reads once, and answers what it can. To be called when the descriptor is readable.
  State receive();
  // Writes what could not be written before.
  State flush();

  // What has come for others, in order; each is handed over once.
  std::optional<Request> next_request();
  std::optional<Signal> next_signal();
  // A request of a type that is no worker's but perhaps the server's. Only if the server wants
  // them; else they are answered with an error.
  void want_other_requests() { wants_others_ = true; }
  std::optional<Message> next_other();

  // Answers a request that was handed over. Once.
  void answer(std::uint32_t id, const Outcome& outcome);
  void answer_other(const Message& answer);
  // Whether a request with this id was handed over and not answered.
  bool is_open(std::uint32_t id) const { return unanswered_.contains(id); }
  const std::set<std::uint32_t>& unanswered() const { return unanswered_; }

 private:
  void take(Packet packet);
  void take_invocation(const Message& message, Packet& packet);
  void take_signal(const Message& message);
  void change_directory(const Message& message);
  void change_environment(const Message& message);
  void refuse(std::uint32_t id, const char* reason, std::string text);
  void send(const Message& message);

  os::Fd socket_;
  Greeting greeting_;
  PacketReader reader_;
  std::deque<PacketWriter> outgoing_;
  std::deque<Request> requests_;
  std::deque<Signal> signals_;
  std::deque<Message> others_;
  std::set<std::uint32_t> unanswered_;
  std::string directory_;
  std::vector<std::string> environment_;
  bool wants_others_ = false;
  bool broken_ = false;
};

// `environment` with what `changes` sets, each name once.
std::vector<std::string> with_changes(std::vector<std::string> environment,
                                      const std::vector<std::string>& changes);

}  // namespace prewarm::coproc
