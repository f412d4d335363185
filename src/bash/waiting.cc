// SPDX-License-Identifier: GPL-3.0-or-later
//
// Waiting: parked processes are children of the shell that bash must not see, and a launch whose
// process was killed before it took the request is repeated. All of this may run inside bash's
// SIGCHLD handler: nothing here allocates.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "bash/front.h"
#include "bash/originals.h"
#include "bash/taken_signals.h"
#include "launch/exec_cold.h"
#include "os/clock.h"

namespace prewarm::bash {

namespace {

bool has_ended(int status) { return WIFEXITED(status) || WIFSIGNALED(status); }

// In a forked child: does by hand what a parked process would have done with the request, as if
// `signals` had come just now.
[[noreturn]] void exec_request(const char* path, std::vector<char>& wire,
                               const std::vector<int>& fds, std::uint64_t signals) {
  if (signals != 0) {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
  }
  for (int sig = 1; sig < NSIG; ++sig) {
    if ((signals >> (sig - 1) & 1) != 0) ::kill(::getpid(), sig);
  }
  launch::RequestView view;
  if (!launch::parse_request(wire.data(), wire.size(), view)) ::_exit(127);
  launch::exec_cold(path, view, fds);
}

}  // namespace

Pending* Front::pending_of(pid_t pid) {
  for (Pending& p : pendings_) {
    if (p.active && p.pid == pid) return &p;
  }
  return nullptr;
}

void Front::drop_owned(Pending& pending) {
  for (const int fd : pending.owned) ::close(fd);
  pending.owned.clear();
  pending.settled = true;
}

// Signals to the process group that came after the launch but before its process had taken the
// request. What that process has had and we have not since then came earlier, or was meant for it
// alone, when it was nobody's program.
std::uint64_t Front::signals_since(const Pending& pending) {
  if (pending.pool == nullptr) return 0;
  sigset_t waiting;
  ::sigpending(&waiting);
  return pending.pool->interrupted(pending.claim.program) &
         (taken_signals.since(pending.start_ns) | mask_bits(waiting));
}

// Its process died without having taken the request: once more, by another parked process or by a
// plain fork and exec, which a signal would have hit.
bool Front::repeat(Pending& pending) {
  pending.watch.reset();
  if (pending.pool != nullptr && signals_since(pending) == 0) {
    const auto kind = pending.brokered ? park::SlotKind::brokered : park::SlotKind::direct;
    const auto claim = pending.pool->claim(pending.claim.program, kind, 0);
    if (claim && pending.pool->release_bytes(*claim, pending.wire, pending.fds)) {
      pending.claim = *claim;
      pending.pid = claim->pid;
      return true;
    }
  }
  return spawn_cold(pending);
}

bool Front::spawn_cold(Pending& pending) {
  const std::uint64_t signals = signals_since(pending);
  const pid_t pid = originals().fork();
  if (pid < 0) return false;
  if (pid == 0) exec_request(pending.path.c_str(), pending.wire, pending.fds, signals);
  pending.pool = nullptr;
  pending.brokered = false;
  pending.pid = pid;
  return true;
}

// Waits until every launch has been taken, and lets go of what was kept to repeat it: as long as we
// hold a copy of a pipe's end, its reader waits for an end of file.
void Front::settle() {
  for (Pending& p : pendings_) {
    while (p.active && !p.settled && !p.owned.empty()) {
      if (p.pool == nullptr || p.pool->wait_taken(p.claim)) {
        drop_owned(p);
        break;
      }
      int status = 0;
      if (!p.brokered && originals().waitpid(p.pid, &status, 0) == p.pid) {
        p.pool->note_ended(p.pid, status);
      }
      if (!repeat(p)) drop_owned(p);
    }
  }
}

// Has what was released replaced. Now, because the shell is about to sleep: the zygote then runs
// beside the program, and not in the way of its start.
void Front::refill() {
  for (Pending& p : pendings_) {
    if (!p.active || p.replaced || p.pool == nullptr) continue;
    p.pool->refill(p.claim.program);
    p.replaced = true;
  }
}

pid_t Front::wait(pid_t pid, int* status, int options) {
  const bool looking = look_.pid() != 0 && !look_ended_;
  if (pool_ == nullptr && retired_.empty() && finished_.empty() && !looking &&
      running_brokered() == nullptr) {
    const pid_t r = originals().waitpid(pid, status, options);
    if (r > 0 && living_ > 0 && (status == nullptr || has_ended(*status))) --living_;
    return r;
  }
  refill();
  settle();
  // In a handler bash never blocks.
  if ((options & WNOHANG) == 0) replace_spent();
  if (pid == -1 && !finished_.empty()) {
    const Finished f = finished_.back();
    finished_.pop_back();
    if (status != nullptr) *status = f.status;
    return f.pid;
  }
  if (pid == -1) return wait_among(status, options);
  return originals().waitpid(pid, status, options);
}

// waitpid(-1): among bash's own children, our launches, and brokered launches, which are nobody's
// children here.
pid_t Front::wait_among(int* status, int options) {
  constexpr int kAloneMs = 1000;
  constexpr int kMixedMs = 1;  // no one call waits for children and for a word of memory
  for (;;) {
    if (Pending* p = collect_brokered()) {
      if (status != nullptr) *status = p->status;
      return p->shell_pid;
    }
    Pending* brokered = running_brokered();
    bool others = living_ > 0;
    for (const Pending& p : pendings_) others = others || (p.active && !p.brokered && !p.hidden);
    int ended = 0;
    // With nothing but parked children left bash must hear that it has none.
    const bool dont_block = brokered != nullptr || !others;
    const pid_t r = originals().waitpid(-1, &ended, dont_block ? options | WNOHANG : options);
    if (r > 0) {
      const pid_t shown = note(r, ended);
      if (shown == 0) continue;
      if (status != nullptr) *status = ended;
      return shown;
    }
    if (brokered == nullptr) {
      if (r < 0 || others) return r;
      errno = ECHILD;
      return -1;
    }
    if ((options & WNOHANG) != 0) return 0;
    if (!brokered->pool->wait_change(brokered->claim, brokered->watch,
                                     others ? kMixedMs : kAloneMs)) {
      errno = EINTR;
      return -1;
    }
  }
}

Pending* Front::running_brokered() {
  for (Pending& p : pendings_) {
    if (p.active && p.brokered && !p.ended) return &p;
  }
  return nullptr;
}

// A brokered launch that has ended and that bash waits for, or null.
Pending* Front::collect_brokered() {
  for (Pending& p : pendings_) {
    if (!p.active || !p.brokered || p.ended) continue;
    int status = SIGKILL;
    const park::Brokered now = p.pool->look(p.claim, p.watch, status);
    if (now == park::Brokered::under_way) continue;
    if (now == park::Brokered::never_ran && repeat(p)) continue;
    if (end_pending(p, status) != 0) return &p;
  }
  return nullptr;
}

// The pid that bash knows it by, or 0 if bash doesn't.
pid_t Front::end_pending(Pending& pending, int status) {
  tally_.add_time(pending.path.c_str(), warm_rung(pending),
                  static_cast<std::uint64_t>(os::now_ns() - pending.start_ns));
  drop_owned(pending);
  pending.watch.reset();
  pending.active = pending.hidden;
  pending.ended = true;
  pending.status = status;
  return pending.hidden ? 0 : pending.shell_pid;
}

park::Ended Front::note_ended(pid_t pid, int status) {
  auto ended = pool_ == nullptr ? park::Ended::not_ours : pool_->note_ended(pid, status);
  for (const auto& pool : retired_) {
    if (ended == park::Ended::not_ours) ended = pool->note_ended(pid, status);
  }
  return ended;
}

// A child has changed its state. The pid that bash knows it by, or 0 if it isn't bash's business.
pid_t Front::note(pid_t pid, int status) {
  Pending* pending = pending_of(pid);
  if (!has_ended(status))
    return pending == nullptr ? pid : (pending->hidden ? 0 : pending->shell_pid);
  if (pid == look_.pid() && !look_ended_) {
    look_ended_ = true;
    return 0;
  }
  const park::Ended ended = note_ended(pid, status);
  if (pending == nullptr) {
    if (ended != park::Ended::not_ours) return 0;
    if (living_ > 0) --living_;
    if (pid == timed_.pid) {
      tally_.add_time(timed_.path.c_str(), Rung::cold,
                      static_cast<std::uint64_t>(os::now_ns() - timed_.start_ns));
      timed_.pid = -1;
    }
    return pid;
  }
  if (ended == park::Ended::parked && repeat(*pending)) return 0;
  return end_pending(*pending, status);
}

// Waits for the launches that bash doesn't know about: the elements of a substitution's pipeline
// but for the last. bash's forked child would have waited for them before it ended.
void Front::finish_hidden() {
  if (hidden_statuses_.empty()) return;
  refill();
  sigset_t child;
  sigset_t before;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, &before);
  for (Pending& p : pendings_) {
    while (p.active && p.hidden && !p.ended) {
      int status = 0;
      if (p.brokered) {
        p.pool->wait_change(p.claim, p.watch, 100);
        collect_brokered();
      } else if (originals().waitpid(p.pid, &status, 0) == p.pid) {
        note(p.pid, status);
      }
    }
    if (!p.active || !p.hidden) continue;
    hidden_statuses_[p.element] =
        WIFSIGNALED(p.status) ? 128 + WTERMSIG(p.status) : WEXITSTATUS(p.status);
    p.active = false;
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  // Without the option the last element decides alone; with it, the rightmost that failed.
  if (pipefail_opt != 0 && last_command_exit_value == 0) {
    for (const int status : hidden_statuses_) {
      if (status != 0) last_command_exit_value = status;
    }
  }
  hidden_statuses_.clear();
}

}  // namespace prewarm::bash
