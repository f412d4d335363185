// SPDX-License-Identifier: MIT
#include "coproc/adapter_ready.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <map>
#include <utility>

#include "coproc/held_program.h"
#include "coproc/ready_command.h"
#include "coproc/service.h"
#include "launch/reason.h"
#include "os/argv.h"
#include "os/signal_queue.h"
#include "prewarm_config.h"

namespace prewarm::coproc {
namespace {

constexpr unsigned kConcurrent = 64;
// What is under way is looked at so often; its end comes by SIGCHLD and is not waited for.
constexpr int kStartMs = 5;
constexpr int kEndings[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

std::uint64_t bits_of(const sigset_t& set) {
  std::uint64_t bits = 0;
  for (int sig = 1; sig <= 64; ++sig) {
    if (::sigismember(&set, sig) == 1) bits |= std::uint64_t{1} << (sig - 1);
  }
  return bits;
}

std::uint64_t ignored_signals() {
  std::uint64_t bits = 0;
  for (int sig = 1; sig <= 64; ++sig) {
    struct sigaction action{};
    if (::sigaction(sig, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
      bits |= std::uint64_t{1} << (sig - 1);
    }
  }
  return bits;
}

std::vector<std::string> environment() {
  std::vector<std::string> variables;
  for (char** v = environ; *v != nullptr; ++v) variables.emplace_back(*v);
  return variables;
}

// What is ignored stays ignored.
sigset_t watched_signals() {
  sigset_t wanted = os::signal_set({SIGCHLD});
  const std::uint64_t ignored = ignored_signals();
  for (const int sig : kEndings) {
    if ((ignored >> (sig - 1) & 1) == 0) ::sigaddset(&wanted, sig);
  }
  return wanted;
}

// Reads all. One that is to end us, or 0.
int take_ending(os::SignalQueue& signals) {
  int ending = 0;
  while (const auto info = signals.next()) {
    if (info->ssi_signo != SIGCHLD) ending = static_cast<int>(info->ssi_signo);
  }
  return ending;
}

class ReadyAdapter {
 public:
  ReadyAdapter(os::Fd socket, HeldProgram& program, os::SignalQueue& signals,
               HeldProgram::Signals inherited)
      : program_(program),
        signals_(signals),
        inherited_(inherited),
        service_(std::move(socket), greeting()) {}

  int run() {
    for (;;) {
      if (const int sig = wait()) return end(128 + sig);
      reap();
      const auto state = service_.receive();
      if (state == Service::State::ended) return end(0);
      if (state == Service::State::broken) return end(1);
      take_requests();
      launch_waiting();
      deliver_signals();
      if (service_.flush() == Service::State::broken) return end(1);
    }
  }

 private:
  static Greeting greeting() {
    return {.implementation = std::string("prewarm adapt ready ") + PREWARM_VERSION,
            .concurrent = kConcurrent,
            .takes_signals = true,
            .fresh = true};
  }

  // A signal that is to end us, or 0.
  int wait() {
    const auto events = static_cast<short>(POLLIN | (service_.wants_to_write() ? POLLOUT : 0));
    pollfd fds[] = {{service_.fd(), events, 0}, {signals_.fd(), POLLIN, 0}};
    ::poll(fds, 2, waiting_.empty() ? -1 : kStartMs);
    return take_ending(signals_);
  }

  void take_requests() {
    while (auto request = service_.next_request()) waiting_.push_back(std::move(*request));
  }

  // In order: who came first is served first.
  void launch_waiting() {
    while (!waiting_.empty()) {
      const auto& request = waiting_.front();
      const auto launched = program_.launch(request.invocation, request.streams);
      if (launched.later) return;
      if (launched.pid == 0) {
        service_.answer(request.id, launched.refusal);
      } else {
        running_[launched.pid] = request.id;
      }
      waiting_.pop_front();
    }
  }

  void deliver_signals() {
    while (const auto signal = service_.next_signal()) {
      std::erase_if(waiting_, [&](const Service::Request& waiting) {
        if (waiting.id != signal->request || !ends_a_start(signal->number)) return false;
        service_.answer(waiting.id, {.kind = Outcome::Kind::killed, .value = signal->number});
        return true;
      });
      for (const auto& [pid, id] : running_) {
        if (id == signal->request) ::kill(-pid, signal->number);
      }
    }
  }

  void reap() {
    while (const auto ended = program_.reap()) {
      const auto found = running_.find(ended->pid);
      if (found == running_.end()) continue;
      Outcome outcome = Outcome::of_wait_status(ended->status);
      const auto us = [](const timeval& t) {
        return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 +
               static_cast<std::uint64_t>(t.tv_usec);
      };
      outcome.usage = {.user_us = us(ended->usage.ru_utime),
                       .system_us = us(ended->usage.ru_stime),
                       .max_rss_kib = static_cast<std::uint64_t>(ended->usage.ru_maxrss)};
      service_.answer(found->second, outcome);
      running_.erase(found);
    }
  }

  // As a signal would that comes while a program is being started.
  bool ends_a_start(int sig) const {
    constexpr int kOthers[] = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
                               SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH};
    const bool is_ignored = (inherited_.ignored >> (sig - 1) & 1) != 0;
    const bool is_blocked = (inherited_.mask >> (sig - 1) & 1) != 0;
    return std::ranges::find(kOthers, sig) == std::end(kOthers) && !is_ignored && !is_blocked;
  }

  // Whoever asked has gone. What is held ends with the pool.
  int end(int status) {
    for (const auto& [pid, id] : running_) {
      ::kill(-pid, SIGTERM);
      ::kill(-pid, SIGCONT);
    }
    return status;
  }

  HeldProgram& program_;
  os::SignalQueue& signals_;
  const HeldProgram::Signals inherited_;
  Service service_;
  std::deque<Service::Request> waiting_;
  std::map<pid_t, std::uint32_t> running_;  // ids by process
};

int complain(const std::string& text, int status) {
  std::fprintf(stderr, "prewarm adapt ready: %s\n", text.c_str());
  return status;
}

// The command serves by itself.
int become_command(const std::vector<std::string>& command, int socket, const sigset_t& mask) {
  ::fcntl(socket, F_SETFD, 0);
  ::setenv("CAPERS_VERSION", "1", 1);
  ::setenv("CAPERS_FD", std::to_string(socket).c_str(), 1);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  const auto argv = os::pointers(command);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  return complain(command[0] + ": " + ::strerror(error), error == ENOENT ? 127 : 126);
}

// Waits until the program is held or refused. A signal that is to end us, or 0.
int wait_until_known(HeldProgram& program, os::SignalQueue& signals, int socket) {
  program.start();
  while (program.state() == HeldProgram::State::starting) {
    program.wait(kStartMs);
    if (const int sig = take_ending(signals)) return sig;
    program.reap();
    pollfd gone{socket, POLLRDHUP, 0};
    if (::poll(&gone, 1, 0) > 0 && (gone.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
      return SIGHUP;
    }
  }
  return 0;
}

}  // namespace

int adapt_ready(const AdapterOptions& options) {
  auto socket = Service::inherited_socket();
  if (!socket) return kNoWorkerStatus;
  HeldProgram::Signals inherited{.ignored = ignored_signals()};
  // Launches get the mask that was before.
  os::SignalQueue signals(watched_signals());
  inherited.mask = bits_of(signals.before());
  const char* path = std::getenv("PATH");
  auto command =
      resolve_ready_command(options.command, path == nullptr ? kUsualPath : path, options.keep);
  if (!command) return become_command(options.command, socket->get(), signals.before());
  HeldProgram program(std::move(*command), options.agent, environment(), inherited);
  if (const int sig = wait_until_known(program, signals, socket->get())) return 128 + sig;
  if (program.state() == HeldProgram::State::refused) {
    complain(options.command[0] + " can't be held: " + launch::reason_text(program.reason()), 0);
    return become_command(options.command, socket->get(), signals.before());
  }
  return ReadyAdapter(std::move(*socket), program, signals, inherited).run();
}

}  // namespace prewarm::coproc
