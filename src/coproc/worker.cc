// SPDX-License-Identifier: MIT
#include "coproc/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "prewarm/command.h"

namespace prewarm::coproc {
namespace {

constexpr std::size_t kKeptWords = 2048;
// An adapter, its tool, and what that has started; deeper ones are not the worker's size any more.
constexpr unsigned kMostGenerations = 3;
constexpr int kWorkerFd = 3;  // where the worker has its socket

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_of(pid_t pid, const char* name) {
  return {std::fopen(("/proc/" + std::to_string(pid) + "/" + name).c_str(), "re"), &std::fclose};
}

// Of a process and `generations` - 1 generations of its children.
std::uint64_t resident_kib_of(pid_t pid, unsigned generations) {
  static const auto page_kib = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
  unsigned long size = 0;
  unsigned long resident = 0;
  if (const File file = open_of(pid, "statm")) {
    if (std::fscanf(file.get(), "%lu %lu", &size, &resident) != 2) return 0;
  }
  std::uint64_t sum = resident * page_kib;
  if (generations == 1) return sum;
  const std::string children = "task/" + std::to_string(pid) + "/children";
  if (const File file = open_of(pid, children.c_str())) {
    for (int child; std::fscanf(file.get(), "%d", &child) == 1;) {
      sum += resident_kib_of(child, generations - 1);
    }
  }
  return sum;
}

}  // namespace

os::Result<std::unique_ptr<Worker>> Worker::start(const std::vector<std::string>& command,
                                                  const std::vector<std::string>& environment,
                                                  const std::string& directory,
                                                  std::optional<rlim_t> descriptors) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return os::failed("make a pair of sockets");
  }
  os::Fd ours(pair[0]);
  const os::Fd theirs(pair[1]);
  Command start(command[0]);
  for (std::size_t i = 1; i < command.size(); ++i) start.arg(command[i]);
  start.clear_env();
  for (const auto& variable : environment) {
    const auto equals = variable.find('=');
    start.env(variable.substr(0, equals), variable.substr(equals + 1));
  }
  start.env("CAPERS_VERSION", std::to_string(kProtocolVersion))
      .env("CAPERS_FD", std::to_string(kWorkerFd))
      .inherit(theirs.get(), kWorkerFd)
      .in(Stdio::null())
      .out(Stdio::null())
      .err(Stdio::pipe())
      .directory(directory)
      .signals(Signals::all_default)
      .session()
      .death_signal(SIGTERM);
  rlimit limit{};
  if (descriptors && ::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    start.limit(RLIMIT_NOFILE, *descriptors, limit.rlim_max);
  }
  auto process = start.spawn();
  if (!process) return std::unexpected(process.error());
  os::Fd errors = std::move(process->err());
  ::fcntl(errors.get(), F_SETFL, O_NONBLOCK);
  return std::unique_ptr<Worker>(
      new Worker(Client(std::move(ours)), std::move(*process), std::move(errors)));
}

void Worker::kill(int number) {
  // Until it has been waited for, its pid is its group's number and nobody else's.
  if (pid() > 0) ::kill(-pid(), number);
}

void Worker::dismiss() { ::shutdown(client_.fd(), SHUT_WR); }

void Worker::read_errors() {
  char text[4096];
  const ssize_t n = ::read(errors_.get(), text, sizeof text);
  if (n > 0) {
    last_words_.append(text, static_cast<std::size_t>(n));
    if (last_words_.size() > kKeptWords) last_words_.erase(0, last_words_.size() - kKeptWords);
  } else if (n == 0 || errno != EAGAIN) {
    errors_.reset();
  }
}

std::uint64_t Worker::resident_kib() const { return resident_kib_of(pid(), kMostGenerations); }

}  // namespace prewarm::coproc
