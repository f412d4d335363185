// SPDX-License-Identifier: MIT
#include "coproc/client.h"

#include <errno.h>
#include <sys/socket.h>

#include "os/unix_address.h"

namespace prewarm::coproc {

os::Result<Client> Client::connect(const std::string& path) {
  const auto address = os::UnixAddress::of(path);
  if (!address) return os::failed_with(ENAMETOOLONG, "connect to", path);
  os::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return os::failed("make a socket");
  int result;
  do {
    result = ::connect(socket.get(), address->get(), address->size());
  } while (result != 0 && errno == EINTR);
  if (result != 0) return os::failed("connect to", path);
  return Client(std::move(socket));
}

os::Result<Greeting> Client::greet() {
  const auto id = send(version_request(0));
  if (!id) return std::unexpected(id.error());
  const auto answer = receive();
  if (!answer) return std::unexpected(answer.error());
  if (!*answer) return os::failed_with(ETIMEDOUT, "greet");  // the socket has a time limit
  auto greeting = greeting_of(**answer);
  if (!greeting) return os::failed_with(EPROTO, "greet", greeting.error());
  return std::move(*greeting);
}

os::Result<std::uint32_t> Client::send(const Invocation& invocation, std::array<int, 3> streams,
                                       bool wait) {
  const auto id = next_id();
  if (const auto sent = put(to_message(invocation, id), streams, wait); !sent) {
    return std::unexpected(sent.error());
  }
  unanswered_.insert(id);
  return id;
}

os::Result<std::uint32_t> Client::send(Message request, bool wait) {
  request.id = next_id();
  if (const auto sent = put(request, {}, wait); !sent) return std::unexpected(sent.error());
  unanswered_.insert(request.id);
  return request.id;
}

os::Result<void> Client::signal(std::uint32_t id, int number) {
  Message request{"signal", 0, {}};
  request.add("request", std::to_string(id));
  request.add("signal", std::to_string(number));
  return put(request, {}, true);
}

os::Result<void> Client::put(const Message& message, std::span<const int> descriptors, bool wait) {
  const auto text = print_message(message);
  if (!text) return os::failed_with(E2BIG, "send", message.type);
  PacketWriter writer(*text, descriptors);
  if (wait && outgoing_.empty()) {
    const auto sent = writer.send(socket_.get());
    if (!sent) return std::unexpected(sent.error());
    return {};
  }
  // Descriptors of a packet that waits would have to be kept open.
  if (!descriptors.empty() && !outgoing_.empty()) return os::failed_with(EAGAIN, "send");
  if (outgoing_.empty()) {
    const auto sent = writer.send(socket_.get(), MSG_DONTWAIT);
    if (!sent) return std::unexpected(sent.error());
    if (*sent) return {};
    if (!descriptors.empty() && !writer.has_begun()) return os::failed_with(EAGAIN, "send");
  }
  outgoing_.push_back(std::move(writer));
  return {};
}

os::Result<void> Client::flush() {
  while (!outgoing_.empty()) {
    const auto sent = outgoing_.front().send(socket_.get(), MSG_DONTWAIT);
    if (!sent) return std::unexpected(sent.error());
    if (!*sent) break;
    outgoing_.pop_front();
  }
  return {};
}

os::Result<std::optional<Message>> Client::receive(bool wait) {
  for (;;) {
    auto packet = reader_.next();
    if (!packet)
      return os::failed_with(EPROTO, "read an answer",
                             std::string("what it wrote is no packet: ") + packet.error());
    if (*packet) {
      auto message = parse_message((*packet)->payload);
      if (!message)
        return os::failed_with(EPROTO, "read an answer",
                               std::string("what it wrote is no message: ") + message.error());
      if (unanswered_.erase(message->id) == 0) {
        return os::failed_with(EPROTO, "read an answer",
                               "nothing was asked, or it was answered before");
      }
      return std::move(*message);
    }
    switch (reader_.receive(socket_.get(), wait ? 0 : MSG_DONTWAIT)) {
      case Received::some:
        break;
      case Received::nothing:
        return std::nullopt;
      case Received::end:
        if (reader_.inside_packet())
          return os::failed_with(EPROTO, "read an answer", "it ends too early");
        return os::failed_with(EPIPE, "read an answer");
      case Received::unread_lost:
        return os::failed_with(ECONNRESET, "read an answer");
      case Received::failed:
        return os::failed("read an answer");
    }
  }
}

// Ids go round; one that is still under way is not given again.
std::uint32_t Client::next_id() {
  do {
    ++last_id_;
  } while (last_id_ == 0 || unanswered_.contains(last_id_));
  return last_id_;
}

}  // namespace prewarm::coproc
