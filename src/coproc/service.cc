// SPDX-License-Identifier: MIT
#include "coproc/service.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>
#include <map>
#include <string_view>

#include "os/self.h"

namespace prewarm::coproc {
namespace {

constexpr std::uint64_t kMaxId = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMaxSignal = 64;
// Answers that nobody reads: whoever lets so many gather has gone wrong.
constexpr std::size_t kMaxOutgoing = 4096;

std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

std::string current_directory() {
  std::string directory = os::working_directory();
  return directory.empty() ? "/" : directory;
}

std::vector<std::string> current_environment() {
  std::vector<std::string> variables;
  for (char** v = environ; v != nullptr && *v != nullptr; ++v) variables.emplace_back(*v);
  return variables;
}

bool is_directory(const std::string& path) {
  struct stat s;
  return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::vector<std::string> with_changes(std::vector<std::string> environment,
                                      const std::vector<std::string>& changes) {
  std::map<std::string, std::size_t, std::less<>> places;
  for (std::size_t i = 0; i < environment.size(); ++i) places.emplace(name_of(environment[i]), i);
  for (const auto& change : changes) {
    const auto [place, is_new] = places.emplace(name_of(change), environment.size());
    if (is_new) {
      environment.push_back(change);
    } else {
      environment[place->second] = change;
    }
  }
  return environment;
}

Service::Service(os::Fd socket, Greeting greeting)
    : socket_(std::move(socket)),
      greeting_(std::move(greeting)),
      directory_(current_directory()),
      environment_(current_environment()) {}

std::optional<os::Fd> Service::inherited_socket() {
  const char* text = std::getenv("CAPERS_FD");
  if (text == nullptr) return {};
  const auto number = parse_number(text, std::numeric_limits<int>::max());
  ::unsetenv("CAPERS_FD");
  ::unsetenv("CAPERS_VERSION");
  if (!number) return {};
  os::Fd socket(static_cast<int>(*number));
  if (::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0) {
    socket.release();
    return {};
  }
  return socket;
}

Service::State Service::receive() {
  if (broken_) return State::broken;
  switch (reader_.receive(socket_.get(), MSG_DONTWAIT)) {
    case Received::nothing:
      return State::open;
    case Received::end:
      return reader_.inside_packet() ? State::broken : State::ended;
    case Received::unread_lost:
    case Received::failed:
      return State::broken;
    case Received::some:
      break;
  }
  for (;;) {
    auto packet = reader_.next();
    if (!packet) return State::broken;
    if (!*packet) break;
    take(std::move(**packet));
    if (broken_) return State::broken;
  }
  return State::open;
}

Service::State Service::flush() {
  while (!outgoing_.empty()) {
    const auto sent = outgoing_.front().send(socket_.get(), MSG_DONTWAIT);
    if (!sent) {
      broken_ = true;
      return State::broken;
    }
    if (!*sent) break;
    outgoing_.pop_front();
  }
  return State::open;
}

std::optional<Service::Request> Service::next_request() {
  if (requests_.empty()) return {};
  auto request = std::move(requests_.front());
  requests_.pop_front();
  return request;
}

std::optional<Service::Signal> Service::next_signal() {
  if (signals_.empty()) return {};
  const auto next = signals_.front();
  signals_.pop_front();
  return next;
}

std::optional<Message> Service::next_other() {
  if (others_.empty()) return {};
  auto message = std::move(others_.front());
  others_.pop_front();
  return message;
}

void Service::answer(std::uint32_t id, const Outcome& outcome) {
  if (unanswered_.erase(id) > 0) send(to_message(outcome, id));
}

void Service::answer_other(const Message& answer) { send(answer); }

void Service::take(Packet packet) {
  auto parsed = parse_message(packet.payload);
  if (!parsed) {
    broken_ = true;
    return;
  }
  const Message& message = *parsed;
  if (message.type == "signal") return take_signal(message);
  if (message.id == 0 || unanswered_.contains(message.id)) {
    broken_ = true;  // its answer couldn't be told from another
    return;
  }
  if (message.type == "argv") {
    take_invocation(message, packet);
  } else if (message.type == "version") {
    if (!has_our_version(message)) return refuse(message.id, "version", "version 1 is spoken here");
    send(to_message(greeting_, message.id));
  } else if (message.type == "echo") {
    send(message);
  } else if (message.type == "flush") {
    send(to_message(Outcome::exited(0), message.id));
  } else if (message.type == "cd") {
    change_directory(message);
  } else if (message.type == "env") {
    change_environment(message);
  } else if (wants_others_) {
    others_.push_back(message);
  } else {
    refuse(message.id, "unknown-request", "there are no requests of the type " + message.type);
  }
}

void Service::take_invocation(const Message& message, Packet& packet) {
  if (packet.descriptors_lost || packet.descriptors.size() != 3) {
    return refuse(message.id, "descriptors",
                  "three descriptors are needed, " + std::to_string(packet.descriptors.size()) +
                      " have arrived");
  }
  auto invocation = invocation_of(message);
  if (!invocation) return refuse(message.id, "message", invocation.error());
  if (unanswered_.size() >= greeting_.concurrent) {
    return refuse(message.id, "busy", "more requests at a time than this serves");
  }
  if (!invocation->directory) invocation->directory = directory_;
  invocation->environment =
      with_changes(invocation->clear_environment ? std::vector<std::string>() : environment_,
                   invocation->environment);
  invocation->clear_environment = true;
  unanswered_.insert(message.id);
  auto& fds = packet.descriptors;
  requests_.push_back({message.id,
                       std::move(*invocation),
                       {std::move(fds[0]), std::move(fds[1]), std::move(fds[2])}});
}

void Service::take_signal(const Message& message) {
  const auto request = message.number("request", kMaxId);
  const auto number = message.number("signal", kMaxSignal);
  if (!request || !number || *number == 0) return;
  const auto id = static_cast<std::uint32_t>(*request);
  if (unanswered_.contains(id)) signals_.push_back({id, static_cast<int>(*number)});
}

void Service::change_directory(const Message& message) {
  const std::string* path = message.find("cwd");
  if (path == nullptr || !path->starts_with('/')) {
    return refuse(message.id, "message", "its field cwd must be an absolute path");
  }
  Outcome outcome = Outcome::exited(0);
  if (is_directory(*path)) {
    directory_ = *path;
  } else {
    outcome.value = 1;
    outcome.message = "can't change to " + *path;
  }
  send(to_message(outcome, message.id));
}

void Service::change_environment(const Message& message) {
  std::vector<std::string> changes;
  bool clear = false;
  for (const auto& [name, value] : message.fields) {
    if (name == "clear-env") clear = true;
    if (name != "env") continue;
    if (value.find('=') == std::string::npos || value[0] == '=') {
      return refuse(message.id, "message", "its field env is not NAME=VALUE: " + value);
    }
    changes.push_back(value);
  }
  environment_ = with_changes(clear ? std::vector<std::string>() : environment_, changes);
  send(to_message(Outcome::exited(0), message.id));
}

void Service::refuse(std::uint32_t id, const char* reason, std::string text) {
  send(to_message(Outcome::not_run(reason, std::move(text)), id));
}

void Service::send(const Message& message) {
  const auto text = print_message(message);
  // What we print is small, but for an echo, which was no larger when it came.
  if (!text || outgoing_.size() >= kMaxOutgoing) {
    broken_ = true;
    return;
  }
  outgoing_.emplace_back(*text, std::span<const int>());
  flush();
}

}  // namespace prewarm::coproc
