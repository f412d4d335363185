// SPDX-License-Identifier: GPL-3.0-or-later
//
// Brokered launches: a forked subshell is about to exec. One of the shell's parked processes does
// it instead; the subshell stays in its place, and ends as the program ends.
#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bash/front.h"
#include "coproc/proxy.h"
#include "os/self.h"

namespace prewarm::bash {

using launch::Reason;

namespace {

constexpr int kClaimWaitMs = 20;
constexpr int kAttempts = 3;

pid_t brokered_pid;

// A signal that somebody sent to this pid is meant for the program. Those that the terminal or the
// kernel sends go to the whole group, and reach it by themselves.
void pass_on(int sig, siginfo_t* info, void*) {
  const bool sent = info->si_code == SI_USER || info->si_code == SI_QUEUE;
  if (sent && brokered_pid > 0) ::kill(brokered_pid, sig);
}

void pass_signals_on(pid_t pid) {
  brokered_pid = pid;
  struct sigaction action{};
  action.sa_sigaction = pass_on;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  for (int sig = 1; sig <= 64; ++sig) {
    if (sig != SIGCHLD) ::sigaction(sig, &action, nullptr);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

// Returns only if the exec has to happen.
void Front::instead_of_exec(const char* path, char* const* argv, char* const* env) {
  if (!enabled_ || !tally_.created()) return;
  if (is_coprocess(argv[0], path)) {
    count(path, Rung::cold, have_it_done(path, argv, env));
    return;
  }
  const Reason reason = broker_exec(path, argv, env);
  count(path, Rung::cold, fork_reason_ != Reason::none ? fork_reason_ : reason);
}

Front::Reason Front::may_broker() const {
  if (this_shell_builtin == exec_builtin) return Reason::exec_builtin;
  if (async_ancestor_) return Reason::background;
  if (const Reason r = check_shell(); r != Reason::none) return r;
  if (opened_proc_) return Reason::redirection;
  // A child made on the way, for a process substitution, would become the program's.
  if (living_ > 0) return Reason::process_substitution;
  return upstream_ == nullptr ? nothing_parked() : Reason::none;
}

Front::Reason Front::broker_exec(const char* path, char* const* argv, char* const* env) {
  if (const Reason r = may_broker(); r != Reason::none) return r;
  const int program = upstream_->find(path);
  if (program < 0) return Reason::not_parked_yet;
  const auto index = static_cast<unsigned>(program);
  // The parked process is a child of the pool's owner, and the program may ask for its parent.
  if (::getppid() != upstream_->owner() && (upstream_->asks_parent(index) || mention_proc(argv))) {
    return Reason::other_parent;
  }
  look_anew();
  if (!upstream_inherited_.unchanged()) return Reason::limits_changed;
  if (const Reason r = upstream_->check_fresh(index, env); r != Reason::none) return r;
  if (!descriptors.inheritable(scratch_fds_)) return Reason::too_many_descriptors;
  Reason reason = Reason::died;
  launch::LaunchRequest request;
  std::vector<launch::Descriptor> list;
  for (const int fd : scratch_fds_) list.push_back({fd, fd});
  request.path = path;
  request.argv = argv;
  request.env = env;
  request.descriptors = list;
  request.cwd = cwd_fd();
  request.umask = os::current_umask();
  sigset_t mask;
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &mask);
  request.signal_mask = mask_bits(mask);
  request.signal_ignored = ignored_now();
  for (int i = 0; i < kAttempts; ++i) {
    const auto claim = upstream_->claim(index, park::SlotKind::brokered, kClaimWaitMs);
    if (!claim) {
      reason = claim.error();
      break;
    }
    if (!upstream_->release(*claim, request)) {
      reason = Reason::request_too_large;
      break;
    }
    upstream_->refill(index);
    if (!upstream_->wait_taken(*claim)) continue;
    count(path, Rung::brokered, Reason::none);
    broker(*claim);
  }
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  return reason;
}

// The program runs. Keep nothing open that it might wait to see closed, and wait.
void Front::broker(const park::Claim& claim) {
  ::close_range(0, ~0U, 0);
  pass_signals_on(claim.pid);
  int status = 0;
  if (!upstream_->wait_brokered(claim, status)) ::_exit(127);
  coproc::end_like(coproc::Outcome::of_wait_status(status));
}

}  // namespace prewarm::bash
