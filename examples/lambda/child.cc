// SPDX-License-Identifier: MIT

#include "child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

// glibc 2.36's header lacks the linkage specification.
extern "C" {
#include <sys/pidfd.h>
}

namespace lambda {

namespace {

constexpr std::chrono::seconds kPoliteEndLimit{2};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& s : strings) result.push_back(const_cast<char*>(s.c_str()));
  result.push_back(nullptr);
  return result;
}

// What posix_spawnp is to do in the child. The calls that fill in either can
// only fail for want of memory, which is left to be found by the spawn itself.
struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnPlan(int output, const sigset_t& signal_mask) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, output, 2);
    // The HTTP library's sockets are not close-on-exec. A runtime that held
    // another one's connection open would hide its end.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);

    sigset_t ignored_by_http_library;
    sigemptyset(&ignored_by_http_library);
    sigaddset(&ignored_by_http_library, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &ignored_by_http_library);
    posix_spawnattr_setsigmask(&attributes, &signal_mask);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

}  // namespace

Result<Child> Child::spawn(const SpawnRequest& request) {
  const std::string& program = request.argv.at(0);
  Child child;
  child.output_ = prewarm::Fd(memfd_create("runtime-output", MFD_CLOEXEC));
  if (!child.output_.valid()) return system_failure("make an output file for", program, errno);

  const SpawnPlan plan(child.output_.get(), request.signal_mask);
  pid_t pid = 0;
  if (int code = posix_spawnp(&pid, program.c_str(), &plan.actions, &plan.attributes,
                              pointers(request.argv).data(), pointers(request.env).data())) {
    return system_failure("start", program, code);
  }
  child.pid_ = pid;
  child.pidfd_ = prewarm::Fd(pidfd_open(pid, 0));
  if (!child.pidfd_.valid()) return system_failure("watch", program, errno);
  return child;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      pidfd_(std::move(other.pidfd_)),
      output_(std::move(other.output_)) {}

Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(output_, other.output_);
  return *this;
}

Child::~Child() { kill_group(); }

std::optional<std::string> Child::reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  pidfd_ = prewarm::Fd();
  if (WIFSIGNALED(status))
    return fmt::format("was killed by SIG{}", sigabbrev_np(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) return fmt::format("ended with status {}", WEXITSTATUS(status));
  return std::nullopt;
}

void Child::kill_group() {
  if (!is_running()) return;
  ::kill(-pid_, SIGTERM);
  wait_for_exit(kPoliteEndLimit);
  // Until it is reaped, nobody else can get the number of the group: whatever
  // is left of it, the child or children of its own, is hit, and nothing else.
  ::kill(-pid_, SIGKILL);
  reap();
}

bool Child::wait_for_exit(std::chrono::milliseconds limit) const {
  if (!pidfd_.valid()) return false;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd exited{pidfd_.get(), POLLIN, 0};
    const int ready = ::poll(&exited, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

std::string Child::last_output() const {
  constexpr off_t kMostBytes = 2000;
  struct stat info;
  if (!output_.valid() || fstat(output_.get(), &info) != 0) return {};
  std::string text(static_cast<size_t>(std::min(info.st_size, kMostBytes)), '\0');
  const off_t start = info.st_size - static_cast<off_t>(text.size());
  const ssize_t got = ::pread(output_.get(), text.data(), text.size(), start);
  text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  if (start > 0) text.erase(0, text.find('\n') + 1);
  return text;
}

Result<StopSignals> StopSignals::take() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);

  StopSignals stop;
  if (int code = pthread_sigmask(SIG_BLOCK, &signals, &stop.original_mask_)) {
    return system_failure("block", "signals", code);
  }
  stop.fd_ = prewarm::Fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!stop.fd_.valid()) return system_failure("create", "a signalfd", errno);
  return stop;
}

int StopSignals::read_signal() const {
  signalfd_siginfo info;
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return 0;
  return static_cast<int>(info.ssi_signo);
}

}  // namespace lambda
