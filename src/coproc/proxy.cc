// SPDX-License-Identifier: MIT
#include "coproc/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#include "os/clock.h"
#include "os/fd.h"

namespace prewarm::coproc {
namespace {

constexpr std::int64_t kGraceNs = 2 * os::kNsPerSecond;  // between SIGTERM and SIGKILL

// Those that people and programs send, and a terminal. Others come from the process's own doings.
constexpr int kPassedOn[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                             SIGUSR2, SIGALRM, SIGCONT, SIGTSTP, SIGWINCH};

bool is_ignored(int number) {
  struct sigaction now;
  return ::sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

// Makes signals readable for as long as it lives.
class Signals {
 public:
  Signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : kPassedOn) {
      if (!is_ignored(number)) sigaddset(&set, number);
    }
    ::sigprocmask(SIG_BLOCK, &set, &before_);
    // What the caller had blocked stays with him.
    for (const int number : kPassedOn) {
      if (sigismember(&before_, number) == 1) sigdelset(&set, number);
    }
    fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Signals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  int fd() const { return fd_.get(); }
  int next() {  // 0: none
    signalfd_siginfo info;
    const auto n = ::read(fd_.get(), &info, sizeof info);
    if (n != static_cast<ssize_t>(sizeof info)) return 0;
    by_kernel_ = info.ssi_code == SI_KERNEL;
    return static_cast<int>(info.ssi_signo);
  }
  // Whether the last one came from a terminal, which sends to the whole group.
  bool by_kernel() const { return by_kernel_; }

 private:
  os::Fd fd_;
  sigset_t before_;
  bool by_kernel_ = false;
};

// Of several names of a file the same one, where that costs nothing.
std::string absolute(std::string_view path, const std::string& directory) {
  while (path.starts_with("./")) path.remove_prefix(2);
  return path.starts_with('/') ? std::string(path) : directory + "/" + std::string(path);
}

bool is_script(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  char head[2];
  return fd.valid() && ::read(fd.get(), head, 2) == 2 && head[0] == '#' && head[1] == '!';
}

Outcome late_outcome() {
  return {.kind = Outcome::Kind::exited,
          .value = kDeadlineStatus,
          .reason = "deadline",
          .message = "its time was over"};
}

os::Result<void> pass_on(Client& owner, std::uint32_t id, int number) {
  auto sent = owner.signal(id, number);
  if (!sent || number != SIGTSTP) return sent;
  // What has no parent in its session, as a worker, isn't stopped by SIGTSTP (setpgid(2),
  // orphaned).
  if (sent = owner.signal(id, SIGSTOP); !sent) return sent;
  ::raise(SIGSTOP);
  return owner.signal(id, SIGCONT);  // whoever let us go on
}

}  // namespace

os::Result<Invocation> invocation_from_here(const std::string& path, char* const* argv,
                                            char* const* env) {
  Invocation invocation;
  for (char* const* a = argv; *a != nullptr; ++a) invocation.arguments.emplace_back(*a);
  for (char* const* v = env; *v != nullptr; ++v) {
    // What has no name can't be told, and few programs could see it.
    const std::string_view variable = *v;
    if (const auto equals = variable.find('='); equals != 0 && equals != variable.npos) {
      invocation.environment.emplace_back(variable);
    }
  }
  invocation.clear_environment = true;
  char directory[PATH_MAX];
  if (::getcwd(directory, sizeof directory) == nullptr || directory[0] != '/') {
    return os::failed("find the working directory");
  }
  invocation.directory = directory;
  invocation.program = absolute(path, directory);
  if (is_script(path)) invocation.arguments[0] = path;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  invocation.umask = mask;
  return invocation;
}

os::Result<Outcome> stand_for(Client& owner, const Invocation& invocation) {
  std::vector<int> in_vain;
  Outcome outcome;
  {
    Signals signals;
    const auto id = owner.send(invocation, {0, 1, 2});
    if (!id) {
      // Not all of it has gone: nobody runs it.
      return Outcome::not_run("refused", id.error().message());
    }
    for (;;) {
      pollfd polled[] = {{owner.fd(), POLLIN, 0}, {signals.fd(), POLLIN, 0}};
      if (::poll(polled, 2, -1) < 0 && errno != EINTR) return os::failed("wait for the tool");
      while (const int number = signals.next()) {
        in_vain.push_back(number);
        if (const auto sent = pass_on(owner, *id, number); !sent) break;  // the answer says why
      }
      if (polled[0].revents == 0) continue;
      auto answer = owner.receive(false);
      if (!answer) {
        // Unread is the request, then, unless there was more.
        if (answer.error().code == ECONNRESET && in_vain.empty()) {
          outcome = Outcome::not_run("refused", answer.error().message());
          break;
        }
        return std::unexpected(answer.error());
      }
      if (!*answer) continue;
      auto read = outcome_of(**answer);
      if (!read) return os::failed_with(EPROTO, "read an answer", read.error());
      outcome = std::move(*read);
      break;
    }
  }
  if (!outcome.was_run()) {
    for (const int number : in_vain) ::raise(number);
  }
  return outcome;
}

os::Result<Outcome> stand_for_process(const std::function<os::Result<Process>()>& start,
                                      std::chrono::milliseconds time) {
  Signals signals;
  auto process = start();
  if (!process) return std::unexpected(process.error());
  std::int64_t due = os::now_ns() + time.count() * os::kNsPerMs;
  bool late = false;
  for (;;) {
    const auto exit = process->wait_for(std::chrono::milliseconds(0));
    if (!exit) return std::unexpected(exit.error());
    if (*exit && late) return late_outcome();
    if (*exit) return Outcome::of_wait_status((*exit)->status.wait_status());
    if (const std::int64_t left = due - os::now_ns(); left > 0) {
      pollfd polled[] = {{process->pidfd(), POLLIN, 0}, {signals.fd(), POLLIN, 0}};
      const std::int64_t ms =
          std::min<std::int64_t>((left + os::kNsPerMs - 1) / os::kNsPerMs, INT_MAX);
      if (::poll(polled, 2, static_cast<int>(ms)) < 0 && errno != EINTR) {
        return os::failed("wait for the tool");
      }
    } else {
      // An error: it has just ended.
      if (const auto sent = process->kill(late ? SIGKILL : SIGTERM); sent && !late) {
        if (!process->kill(SIGCONT)) continue;
      }
      late = true;
      due = os::now_ns() + kGraceNs;
    }
    while (const int number = signals.next()) {
      if (!signals.by_kernel() && !process->kill(number)) break;
      if (number == SIGTSTP) ::raise(SIGSTOP);
    }
  }
}

void end_like(const Outcome& outcome) {
  if (outcome.kind == Outcome::Kind::killed) {
    const rlimit none{0, 0};  // one core file is enough
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(outcome.value, SIG_DFL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, outcome.value);
    ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
    ::raise(outcome.value);
    ::_exit(128 + outcome.value);
  }
  ::_exit(outcome.value);
}

}  // namespace prewarm::coproc
