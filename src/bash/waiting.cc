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
#include "launch/exec_cold.h"

namespace prewarm::bash {

namespace {

bool has_ended(int status) { return WIFEXITED(status) || WIFSIGNALED(status); }

// In a forked child: does by hand what a parked process would have done with the request.
[[noreturn]] void exec_request(const char* path, std::vector<char>& wire,
                               const std::vector<int>& fds) {
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

// Its process died without having taken the request: once more, by another parked process or by a
// plain fork and exec.
bool Front::repeat(Pending& pending) {
  if (pool_ != nullptr && pending.from_pool) {
    const auto claim = pool_->claim(pending.claim.program, park::SlotKind::direct, 0);
    if (claim && pool_->release_bytes(*claim, pending.wire, pending.fds)) {
      pending.claim = *claim;
      pending.pid = claim->pid;
      return true;
    }
  }
  return spawn_cold(pending);
}

bool Front::spawn_cold(Pending& pending) {
  const pid_t pid = originals().fork();
  if (pid < 0) return false;
  if (pid == 0) exec_request(pending.path.c_str(), pending.wire, pending.fds);
  pending.from_pool = false;
  pending.pid = pid;
  return true;
}

// Waits until every direct launch has been taken, and lets go of what was kept to repeat it: as
// long as we hold a copy of a pipe's end, its reader waits for an end of file.
void Front::settle() {
  for (Pending& p : pendings_) {
    while (p.active && !p.settled && !p.owned.empty()) {
      if (!p.from_pool || pool_ == nullptr || pool_->wait_taken(p.claim)) {
        drop_owned(p);
        break;
      }
      int status = 0;
      if (originals().waitpid(p.pid, &status, 0) == p.pid) pool_->note_ended(p.pid, status);
      if (!repeat(p)) drop_owned(p);
    }
  }
}

pid_t Front::wait(pid_t pid, int* status, int options) {
  if (pool_ == nullptr && finished_.empty() && (look_.pid() == 0 || look_ended_)) {
    const pid_t r = originals().waitpid(pid, status, options);
    if (r > 0 && living_ > 0 && (status == nullptr || has_ended(*status))) --living_;
    return r;
  }
  settle();
  if (pid == -1 && !finished_.empty()) {
    const Finished f = finished_.back();
    finished_.pop_back();
    if (status != nullptr) *status = f.status;
    return f.pid;
  }
  for (;;) {
    int ended = 0;
    // With nothing but parked children left bash must hear that it has none.
    const bool none = pid == -1 && living_ == 0 && !any_visible();
    const pid_t r = originals().waitpid(pid, &ended, none ? options | WNOHANG : options);
    if (r == 0 && none) {
      errno = ECHILD;
      return -1;
    }
    if (r <= 0) return r;
    const pid_t shown = note(r, ended);
    if (shown == 0) continue;
    if (status != nullptr) *status = ended;
    return shown;
  }
}

bool Front::any_visible() const {
  for (const Pending& p : pendings_) {
    if (p.active && !p.hidden) return true;
  }
  return !finished_.empty();
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
  const park::Ended ended =
      pool_ == nullptr ? park::Ended::not_ours : pool_->note_ended(pid, status);
  if (pending == nullptr) {
    if (ended != park::Ended::not_ours) return 0;
    if (living_ > 0) --living_;
    if (pid == timed_.pid) {
      tally_.add_time(timed_.path.c_str(), Rung::cold,
                      static_cast<std::uint64_t>(now_ns() - timed_.start_ns));
      timed_.pid = -1;
    }
    return pid;
  }
  if (ended == park::Ended::parked && repeat(*pending)) return 0;
  tally_.add_time(pending->path.c_str(), Rung::direct,
                  static_cast<std::uint64_t>(now_ns() - pending->start_ns));
  drop_owned(*pending);
  pending->active = pending->hidden;
  pending->ended = true;
  pending->status = status;
  return pending->hidden ? 0 : pending->shell_pid;
}

// Waits for the launches that bash doesn't know about: the elements of a substitution's pipeline
// but for the last. bash's forked child would have waited for them before it ended.
void Front::finish_hidden() {
  if (hidden_statuses_.empty()) return;
  sigset_t child;
  sigset_t before;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, &before);
  for (Pending& p : pendings_) {
    while (p.active && p.hidden && !p.ended) {
      int status = 0;
      if (originals().waitpid(p.pid, &status, 0) == p.pid) note(p.pid, status);
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
