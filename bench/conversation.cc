// SPDX-License-Identifier: MIT
#include "bench/conversation.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <utility>

#include "os/process.h"

namespace prewarm::bench {
namespace {

constexpr std::chrono::milliseconds kLeaveLimit{2000};

}  // namespace

os::Result<Conversation> Conversation::start(Processes& processes, const Command& command) {
  Conversation c(processes);
  c.name_ = command.argv[0].substr(command.argv[0].rfind('/') + 1);
  c.limit_ = command.limit;
  auto errors = make_output();
  if (!errors) return std::unexpected(errors.error());
  c.errors_ = std::move(*errors);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return os::failed("make a socket pair");
  }
  c.channel_ = os::Fd(ends[0]);
  const os::Fd theirs(ends[1]);
  const auto pid = processes.spawn(command, {theirs.get(), theirs.get(), c.errors_.get()});
  if (!pid) return std::unexpected(pid.error());
  c.pid_ = *pid;
  return c;
}

Conversation::Conversation(Conversation&& other) noexcept
    : processes_(other.processes_),
      name_(std::move(other.name_)),
      limit_(other.limit_),
      pid_(std::exchange(other.pid_, 0)),
      channel_(std::move(other.channel_)),
      errors_(std::move(other.errors_)),
      unread_(std::move(other.unread_)) {}

Conversation::~Conversation() {
  if (pid_ == 0) return;
  // It ends when it reads the end of its input, and what it has parked ends with it.
  ::shutdown(channel_.get(), SHUT_WR);
  const os::Fd gone = os::watch(pid_);
  const auto in_time = processes_->wait_readable(gone.get(), kLeaveLimit);
  if (!in_time || !*in_time) ::kill(-pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

os::Result<std::vector<std::string>> Conversation::ask(const std::string& question,
                                                       std::size_t count) {
  const std::string line = question + "\n";
  // If it has gone, that is found by reading, where its message is at hand.
  static_cast<void>(::send(channel_.get(), line.data(), line.size(), MSG_NOSIGNAL));
  std::vector<std::string> answer;
  while (answer.size() < count) {
    auto next = read_line();
    if (!next) return std::unexpected(next.error());
    answer.push_back(std::move(*next));
  }
  return answer;
}

os::Result<std::string> Conversation::read_line() {
  for (;;) {
    if (const auto end = unread_.find('\n'); end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    const auto readable = processes_->wait_readable(channel_.get(), limit_);
    if (!readable) return std::unexpected(readable.error());
    if (!*readable) return os::failed_with(ETIMEDOUT, "talk to", name_);
    char bytes[4096];
    const ssize_t got = ::read(channel_.get(), bytes, sizeof bytes);
    if (got <= 0) return ended();
    unread_.append(bytes, static_cast<std::size_t>(got));
  }
}

std::unexpected<os::Error> Conversation::ended() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  std::string text = read_output(errors_);
  if (text.ends_with('\n')) text.pop_back();
  return os::failed_with(0, "talk to", name_ + ": it " + status_text(status) + ": " + text);
}

}  // namespace prewarm::bench
