// SPDX-License-Identifier: MIT
#include "coproc/batch_proxy.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <climits>

#include "os/clock.h"
#include "os/signal_queue.h"

namespace prewarm::coproc {
namespace {

constexpr std::int64_t kGraceNs = 2 * os::kNsPerSecond;  // between SIGTERM and SIGKILL
// Those that people and programs send, and a terminal.
constexpr int kPassedOn[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
                             SIGUSR2, SIGALRM, SIGCONT, SIGTSTP, SIGWINCH};

void pass_on_all(os::SignalQueue& signals, Process& process) {
  while (const auto info = signals.next()) {
    const int number = static_cast<int>(info->ssi_signo);
    // An error: it has just ended.
    if (info->ssi_code != SI_KERNEL) (void)process.kill(number);
    if (number == SIGTSTP) ::raise(SIGSTOP);
  }
}

os::Result<Outcome> wait_for(Process& process, os::SignalQueue& signals, std::int64_t due) {
  for (bool late = false;;) {
    const auto exit = process.wait_for(std::chrono::milliseconds(0));
    if (!exit) return std::unexpected(exit.error());
    if (*exit && !late) return Outcome::of_wait_status((*exit)->status.wait_status());
    if (*exit) {
      return Outcome{.kind = Outcome::Kind::exited,
                     .value = kDeadlineStatus,
                     .reason = "deadline",
                     .message = "its time was over"};
    }
    const std::int64_t left = due - os::now_ns();
    if (left <= 0) {
      (void)process.kill(late ? SIGKILL : SIGTERM);
      if (!late) (void)process.kill(SIGCONT);
      late = true;
      due = os::now_ns() + kGraceNs;
      continue;
    }
    pollfd polled[] = {{process.pidfd(), POLLIN, 0}, {signals.fd(), POLLIN, 0}};
    const auto ms = std::min<std::int64_t>(left / os::kNsPerMs + 1, INT_MAX);
    if (::poll(polled, 2, static_cast<int>(ms)) < 0 && errno != EINTR) {
      return os::failed("wait for the tool");
    }
    pass_on_all(signals, process);
  }
}

}  // namespace

os::Result<Outcome> stand_for_process(const std::function<os::Result<Process>()>& start,
                                      std::chrono::milliseconds time) {
  sigset_t set = os::signal_set({});
  for (const int number : kPassedOn) {
    struct sigaction now;
    const bool known = ::sigaction(number, nullptr, &now) == 0;
    if (known && now.sa_handler != SIG_IGN) sigaddset(&set, number);
  }
  os::SignalQueue signals(set);
  auto process = start();
  auto outcome = process ? wait_for(*process, signals, os::now_ns() + time.count() * os::kNsPerMs)
                         : os::Result<Outcome>(std::unexpected(process.error()));
  signals.restore();
  return outcome;
}

}  // namespace prewarm::coproc
