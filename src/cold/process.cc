// SPDX-License-Identifier: MIT
#include "prewarm/process.h"

#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cold/deadline.h"
#include "cold/left_children.h"
#include "cold/wait_child.h"
#include "os/process.h"
#include "os/result.h"

namespace prewarm {
namespace {

std::string signal_name(int signal) {
  const char* abbreviation = ::sigabbrev_np(signal);
  return abbreviation != nullptr ? std::string("SIG") + abbreviation
                                 : "signal " + std::to_string(signal);
}

// 0, 1 and negative numbers mean other processes, or all (kill(2)); no child of ours has one.
int send_signal(pid_t pid, bool group, int signal) {
  if (pid <= 1) {
    errno = ESRCH;
    return -1;
  }
  return ::kill(group ? -pid : pid, signal);
}

// Without pidfds there is no event to wait for but SIGCHLD, and that is the program's. So it is
// looked again and again, ever less often.
void pause_between_looks(int looks, const cold::Deadline& deadline) {
  const int longest_ms = 1 << std::min(looks, 5);
  const int left_ms = deadline.left_ms();
  const int ms = left_ms < 0 ? longest_ms : std::min(longest_ms, left_ms);
  const timespec time{0, ms * 1'000'000L};
  ::nanosleep(&time, nullptr);
}

}  // namespace

std::optional<int> ExitStatus::code() const {
  if (!WIFEXITED(wait_status_)) return {};
  return WEXITSTATUS(wait_status_);
}

std::optional<int> ExitStatus::signal() const {
  if (!WIFSIGNALED(wait_status_)) return {};
  return WTERMSIG(wait_status_);
}

bool ExitStatus::core_dumped() const {
  return WIFSIGNALED(wait_status_) && WCOREDUMP(wait_status_);
}

std::string ExitStatus::message() const {
  if (const auto exited = code()) return "exited with " + std::to_string(*exited);
  const auto killer = signal();
  if (!killer) return "wait status " + std::to_string(wait_status_);
  return "killed by " + signal_name(*killer) + (core_dumped() ? " (core dumped)" : "");
}

Process::Process(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {
  if (pid_ > 0 && !pidfd_.valid()) pidfd_ = os::watch(pid_);
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)),
      exit_(std::exchange(other.exit_, std::nullopt)),
      kill_on_drop_(other.kill_on_drop_),
      kill_group_(other.kill_group_) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  drop();
  pid_ = std::exchange(other.pid_, -1);
  pidfd_ = std::move(other.pidfd_);
  in_ = std::move(other.in_);
  out_ = std::move(other.out_);
  err_ = std::move(other.err_);
  exit_ = std::exchange(other.exit_, std::nullopt);
  kill_on_drop_ = other.kill_on_drop_;
  kill_group_ = other.kill_group_;
  return *this;
}

Process::~Process() { drop(); }

void Process::drop() {
  if (waited_for()) return;
  if (!kill_on_drop_) return detach();
  (void)kill(SIGKILL);
  (void)reap(true);
}

void Process::detach() {
  if (waited_for()) return;
  cold::leave_child(std::exchange(pid_, -1), std::move(pidfd_));
}

// True: it has ended, and exit_ says how.
Result<bool> Process::reap(bool block) {
  if (exit_) return true;
  cold::ChildEnd end;
  const int result = cold::wait_child(pid_, pidfd_, block, end);
  if (result == 0) return false;
  if (result == -ECHILD && pidfd_.valid()) {
    if (const auto status = os::ended_status(pidfd_, pid_)) {
      exit_ = Exit{ExitStatus(*status), {}, false};
      return true;
    }
  }
  if (result < 0) return os::failed_with(-result, "wait for process", std::to_string(pid_));
  exit_ = Exit{ExitStatus(end.wait_status), end.usage, false};
  return true;
}

Result<Exit> Process::wait() {
  in_.reset();
  const Result<bool> ended = reap(true);
  if (!ended) return std::unexpected(ended.error());
  return *exit_;
}

Result<std::optional<Exit>> Process::wait_for(std::chrono::milliseconds timeout) {
  const cold::Deadline deadline(timeout);
  if (timeout.count() > 0) in_.reset();
  for (int looks = 0;; ++looks) {
    const Result<bool> ended = reap(false);
    if (!ended) return std::unexpected(ended.error());
    if (*ended) return exit_;
    if (deadline.over()) return std::nullopt;
    if (pidfd_.valid()) {
      pollfd end{pidfd_.get(), POLLIN, 0};
      ::poll(&end, 1, deadline.left_ms());
    } else {
      pause_between_looks(looks, deadline);
    }
  }
}

Result<void> Process::kill(int signal) {
  const auto subject = [this] { return std::to_string(pid_); };
  // The pidfd is asked first, and exit_ is not looked at: another thread may be waiting.
  if (pidfd_.valid() && !kill_group_) {
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0) return {};
    if (errno != ENOSYS) return os::failed("kill process", subject());
  }
  if (waited_for()) return os::failed_with(ESRCH, "kill process", subject());
  // Nobody has waited for it, so its number is its own, and that of its group.
  if (send_signal(pid_, kill_group_, signal) == 0) return {};
  return os::failed("kill process", subject());
}

}  // namespace prewarm
