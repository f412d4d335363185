// SPDX-License-Identifier: GPL-3.0-or-later
//
// Coprocesses: a forked child is about to exec a command that is declared to be one. A worker runs
// it; the child stays in its place as a proxy, which passes signals on and ends as the command
// ends. So `&`, `wait`, redirections, pipelines, `$( )` and traps are as always.
#include "bash/coprocess.h"

#include <linux/close_range.h>
#include <stdio.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "bash/front.h"
#include "coproc/owner_client.h"
#include "coproc/proxy.h"

namespace prewarm::bash {

using coproc::Outcome;
using launch::Reason;

namespace {

// Whether the kernel might stop a program in this place for its use of its terminal: a worker,
// which has another one or none, would go on.
bool may_be_stopped_by_terminal() {
  for (const int fd : {0, 1, 2}) {
    const pid_t foreground = ::tcgetpgrp(fd);
    if (foreground < 0 || foreground == ::getpgrp()) continue;
    termios state;
    if (fd == 0 || ::tcgetattr(fd, &state) != 0 || (state.c_lflag & TOSTOP) != 0) return true;
  }
  return false;
}

// make(1) tells its descriptors by their numbers.
bool names_jobserver(char* const* env) {
  for (; *env != nullptr; ++env) {
    if (std::strncmp(*env, "MAKEFLAGS=", 10) == 0 && std::strstr(*env, "--jobserver") != nullptr) {
      return true;
    }
  }
  return false;
}

bool is_program(const char* path) {
  struct stat s;
  return ::stat(path, &s) == 0 && S_ISREG(s.st_mode) && ::access(path, X_OK) == 0;
}

// An argument that speaks of the process that it is given to, its descriptors or its terminal.
bool mention_own_process(char* const* argv) {
  if (mention_proc(argv)) return true;
  for (; *argv != nullptr; ++argv) {
    for (const char* name : {"/dev/fd", "/dev/std", "/dev/tty"}) {
      if (std::strstr(*argv, name) != nullptr) return true;
    }
  }
  return false;
}

// Whoever looks for the reason of a status that isn't the tool's own finds it nowhere else.
void say(const char* name, const std::string& text) {
  ::dprintf(2, "prewarm: %s: %s\n", name, text.c_str());
}

}  // namespace

StartLimits StartLimits::now() {
  StartLimits result{};
  for (unsigned i = 0; i < RLIM_NLIMITS; ++i) {
    ::getrlimit(static_cast<__rlimit_resource>(i), &result.limits[i]);
  }
  result.nice = ::getpriority(PRIO_PROCESS, 0);
  return result;
}

bool StartLimits::operator==(const StartLimits& other) const {
  const auto same = [](const rlimit& a, const rlimit& b) {
    return a.rlim_cur == b.rlim_cur && a.rlim_max == b.rlim_max;
  };
  return nice == other.nice &&
         std::equal(std::begin(limits), std::end(limits), std::begin(other.limits), same);
}

void StartDescriptors::note() {
  Descriptors open;
  open.start();
  std::vector<int> all;
  if (!open.inheritable(all)) return;
  for (const int fd : all) {
    struct stat s;
    if (fd > 2 && ::fstat(fd, &s) == 0) known_.push_back({fd, s.st_dev, s.st_ino});
  }
}

bool StartDescriptors::has(int fd) const {
  struct stat s;
  return ::fstat(fd, &s) == 0 && std::any_of(known_.begin(), known_.end(), [&](const Known& k) {
           return k.fd == fd && k.device == s.st_dev && k.inode == s.st_ino;
         });
}

coproc::Declarations declared_by(const launch::Settings& settings) {
  coproc::Declarations result;
  const auto add = [&result](const std::string& name, coproc::Protocol protocol) {
    auto& command = result.commands.emplace_back();
    command.name = name;
    command.protocol = protocol;
  };
  for (const auto& name : settings.coprocesses) add(name, coproc::Protocol::automatic);
  for (const auto& name : settings.batch) add(name, coproc::Protocol::batch);
  return result;
}

bool Front::is_coprocess(const char* called, const std::string& path) const {
  if (coprocesses_.commands.empty() || called == nullptr) return false;
  const auto* declaration = coprocesses_.find(called, path);
  return declaration != nullptr && declaration->protocol != coproc::Protocol::batch;
}

// Whether a worker would do the same as the program that this process is about to become.
Reason Front::may_be_done() const {
  if (this_shell_builtin == exec_builtin) return Reason::exec_builtin;
  if (restricted != 0 || privileged_mode != 0) return Reason::restricted;
  if (attributes_uncertain) return Reason::shell_attributes;
  if (opened_proc_) return Reason::redirection;
  if (!(start_limits_ == StartLimits::now())) return Reason::limits_changed;
  return may_be_stopped_by_terminal() ? Reason::job_control : Reason::none;
}

// Returns only if the exec has to happen, and why.
Reason Front::have_it_done(const char* path, char* const* argv, char* const* env) {
  if (const Reason r = may_be_done(); r != Reason::none) return r;
  // A worker might run what the kernel would not.
  if (!is_program(path)) return Reason::not_a_file;
  if (mention_own_process(argv)) return Reason::coprocess_descriptors;
  descriptors.start();
  if (!descriptors.inheritable(scratch_fds_)) return Reason::coprocess_descriptors;
  std::erase_if(scratch_fds_, [this](int fd) { return start_descriptors_.has(fd); });
  if (scratch_fds_ != std::vector<int>{0, 1, 2} || names_jobserver(env)) {
    return Reason::coprocess_descriptors;
  }
  auto invocation = coproc::invocation_from_here(path, argv, env);
  if (!invocation) return Reason::request_too_large;
  invocation->declarations = settings_.declarations;
  auto owner = coproc::connect_to_owner(settings_.command);
  if (!owner) return Reason::coprocess;

  // Whatever the exec would have closed must not wait for us. What is ours goes in order, because
  // bash may go on after a failed exec.
  give_up();
  ::close_range(3, static_cast<unsigned>(owner->fd()) - 1, 0);
  ::close_range(static_cast<unsigned>(owner->fd()) + 1, ~0U, 0);
  auto outcome = coproc::stand_for(*owner, *invocation);
  if (outcome && !outcome->was_run()) return Reason::coprocess;
  if (!outcome) {
    outcome = Outcome::exited(coproc::kFailedStatus);
    outcome->message = "the owner of its workers has ended";
  }
  count(path, Rung::coprocess, Reason::none);
  at_exit();  // if this was the shell itself
  if (!outcome->message.empty()) say(argv[0], outcome->message);
  coproc::end_like(*outcome);
}

}  // namespace prewarm::bash
