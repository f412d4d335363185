// SPDX-License-Identifier: MIT
#include "cli/bench_spawn_callers.h"

#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "cli/bench_spawn_report.h"

namespace prewarm::cli {
namespace {

constexpr double kNsPerUs = 1000;
constexpr timeval kPatience{120, 0};  // for one line of an answer

// This very command, whatever has become of its file meanwhile.
constexpr const char* kSelf = "/proc/self/exe";

}  // namespace

os::Result<SpawnCaller> SpawnCaller::start(const SpawnCallerOptions& options,
                                           const std::string& path) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return os::failed("make a socket");
  }
  os::Fd ours(ends[0]);
  const os::Fd theirs(ends[1]);
  if (::setsockopt(ours.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return os::failed("set up a socket");
  }
  std::string words[] = {"prewarm", "bench-spawn-caller", std::to_string(options.mib),
                         options.touched ? "1" : "0", std::to_string(options.threads)};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(),
                  words[3].data(), words[4].data(), nullptr};
  std::string variable = "PATH=" + path;
  char* env[] = {variable.data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), STDOUT_FILENO);
  pid_t pid = -1;
  const int code = ::posix_spawn(&pid, kSelf, &actions, nullptr, argv, env);
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0) return os::failed_with(code, "start a caller");
  return SpawnCaller(std::move(ours), pid);
}

SpawnCaller::SpawnCaller(SpawnCaller&& other) noexcept
    : channel_(std::move(other.channel_)),
      pid_(std::exchange(other.pid_, 0)),
      broken_(other.broken_),
      unread_(std::move(other.unread_)) {}

SpawnCaller::~SpawnCaller() {
  channel_.reset();  // which asks it to end
  if (pid_ <= 0) return;
  if (broken_) ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

os::Result<std::string> SpawnCaller::read_line() {
  for (;;) {
    const auto end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    char bytes[4096];
    const ssize_t n = ::recv(channel_.get(), bytes, sizeof bytes, 0);
    if (n > 0) unread_.append(bytes, static_cast<std::size_t>(n));
    if (n > 0 || (n < 0 && errno == EINTR)) continue;
    broken_ = true;
    if (n == 0) return os::failed_with(0, "read a caller's answer", "it has ended");
    return os::failed_with(errno == EAGAIN ? ETIMEDOUT : errno, "read a caller's answer");
  }
}

os::Result<std::string> SpawnCaller::order(const std::string& text) {
  // A caller that has ended can't be told, but has said why.
  const std::string line = text + "\n";
  [[maybe_unused]] const ssize_t sent =
      ::send(channel_.get(), line.data(), line.size(), MSG_NOSIGNAL);
  auto answer = read_line();
  if (!answer) return answer;
  if (*answer == "ok") return std::string();
  if (answer->starts_with("no ")) return answer->substr(3);
  broken_ = true;
  return os::failed_with(0, "start programs", *answer);
}

os::Result<std::string> SpawnCaller::check(const std::string& way, const std::string& program) {
  return order(fmt::format("check {} {}", way, program));
}

os::Result<std::vector<std::vector<double>>> SpawnCaller::time(const std::string& way,
                                                               const std::string& program,
                                                               unsigned count) {
  if (auto done = order(fmt::format("time {} {} {}", way, program, count)); !done) {
    return std::unexpected(done.error());
  }
  std::vector<std::vector<double>> times(kSpawnMetrics);
  for (unsigned i = 0; i < count; ++i) {
    const auto line = read_line();
    if (!line) return std::unexpected(line.error());
    std::istringstream numbers(*line);
    for (std::vector<double>& metric : times) {
      double ns = 0;
      if (!(numbers >> ns)) return os::failed_with(0, "understand the caller's answer", *line);
      metric.push_back(ns / kNsPerUs);
    }
  }
  return times;
}

os::Result<double> SpawnCaller::rate(const std::string& way, const std::string& program,
                                     unsigned outstanding, unsigned count) {
  if (auto done = order(fmt::format("rate {} {} {} {}", way, program, outstanding, count)); !done) {
    return std::unexpected(done.error());
  }
  const auto line = read_line();
  if (!line) return std::unexpected(line.error());
  std::istringstream number(*line);
  double ns = 0;
  if (!(number >> ns)) return os::failed_with(0, "understand the caller's answer", *line);
  return ns / kNsPerUs / count;
}

}  // namespace prewarm::cli
