// SPDX-License-Identifier: GPL-3.0-or-later
//
// Direct launches: what bash is about to fork is released from a parked process instead.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "bash/front.h"
#include "bash/redirections.h"
#include "bash/words.h"
#include "os/clock.h"
#include "os/self.h"

struct fd_bitmap;

namespace prewarm::bash {

using launch::Descriptor;
using launch::Reason;

namespace {

// A clone that is just being made is worth waiting for; this long.
constexpr int kClaimWaitMs = 20;
constexpr int kParkWaitMs = 3;

// The words from the command's name on: `command` and its options may have stood before it.
const WORD_LIST* from_name(const Frame& frame, const char* name) {
  for (unsigned i = 0; i < Frame::kFirstWords; ++i) {
    if (name != nullptr && frame.texts[i] == name) return frame.words[i];
  }
  return nullptr;
}

std::vector<char*> arguments(const WORD_LIST* words) {
  std::vector<char*> argv;
  for (; words != nullptr; words = words->next) argv.push_back(words->word->word);
  argv.push_back(nullptr);
  return argv;
}

// Takes away what a subshell would have closed before its exec (execute_cmd.c, close_fd_bitmap).
void remove_closed(std::vector<int>& fds, const fd_bitmap* closed) {
  if (closed == nullptr) return;
  std::erase_if(fds, [closed](int fd) { return fd < closed->size && closed->bitmap[fd] != 0; });
}

// Gives each here-document a number above all that the command uses.
void place_documents(Order& order) {
  if (order.documents.empty()) return;
  constexpr int kFirst = Redirections::kFirstDocument;
  int next = 3;
  for (const Descriptor& d : order.descriptors) next = std::max(next, d.target + 1);
  for (const launch::SetUp& s : order.set_up) {
    for (const int fd : {s.fd, s.other}) {
      if (fd < kFirst) next = std::max(next, fd + 1);
    }
  }
  for (launch::SetUp& s : order.set_up) {
    if (s.fd >= kFirst) s.fd = next + (s.fd - kFirst);
    if (s.other >= kFirst) s.other = next + (s.other - kFirst);
  }
  for (const os::Fd& document : order.documents) {
    order.descriptors.push_back({document.get(), next++});
    order.to_own.push_back(document.get());
  }
}

}  // namespace

bool mention_proc(char* const* argv) {
  for (; *argv != nullptr; ++argv) {
    if (std::strstr(*argv, "/proc") != nullptr) return true;
  }
  return false;
}

bool mentions_proc(const Order& order) {
  if (mention_proc(order.argv.data())) return true;
  for (const launch::SetUp& s : order.set_up) {
    if (s.path.find("/proc") != std::string::npos) return true;
  }
  return false;
}

void Front::look_anew() {
  looked_at_ = {};
  if (pool_ != nullptr) pool_->look_anew();
  if (upstream_ != nullptr) upstream_->look_anew();
}

pid_t Front::instead_of_fork() {
  fork_reason_ = Reason::none;
  look_anew();
  if (outdated_) drop_pool();
  outdated_ = false;
  if (!shell_may_launch()) return 0;
  if (substitution.armed) return launch_substitution();
  if (frame.command == nullptr || frame.command->type != cm_simple || frame.async != 0) return 0;
  if (frame.pipe_in == kNoPipe && frame.pipe_out == kNoPipe) return launch_simple();
  return launch_element();
}

// A simple command in the foreground: bash has expanded, searched and traced, and has made the
// environment; it now forks to redirect and exec.
pid_t Front::launch_simple() {
  const WORD_LIST* words = from_name(frame, this_command_name);
  if (words == nullptr || frame.searched != this_command_name || frame.path == nullptr) return 0;
  Order order;
  order.path = frame.path;
  order.argv = arguments(words);
  order.env = export_env;
  pid_t pid = 0;
  Reason reason = Reason::none;
  if (is_coprocess(this_command_name, order.path)) {
    reason = Reason::coprocess;
  } else if (pool_ == nullptr && upstream_ == nullptr) {
    reason = nothing_parked();
  } else if (!fill_descriptors(order)) {
    reason = Reason::too_many_descriptors;
  } else if (!add_redirections(order, frame.command->value.Simple->redirects)) {
    reason = Reason::redirection;
  } else {
    pid = launch(order, reason);
  }
  return pid > 0 ? pid : cold(frame.path, reason);
}

// What the program would inherit from the shell.
bool Front::fill_descriptors(Order& order) {
  if (!looked_at_.descriptors) {
    if (!descriptors.inheritable(scratch_fds_)) return false;
    remove_closed(scratch_fds_, frame.fds_to_close);
    looked_at_.descriptors = true;
  }
  if (scratch_fds_.size() > launch::kMaxDescriptors) return false;
  for (const int fd : scratch_fds_) order.descriptors.push_back({fd, fd});
  return true;
}

bool Front::add_redirections(Order& order, REDIRECT* redirects) {
  if (redirects == nullptr) return true;
  Redirections translated;
  if (!translate(redirects, translated)) return false;
  order.set_up = std::move(translated.set_up);
  order.documents = std::move(translated.documents);
  place_documents(order);
  // A copy of a descriptor that isn't there is an error message of bash's: leave it to a subshell.
  std::vector<int> open;
  for (const Descriptor& d : order.descriptors) open.push_back(d.target);
  for (const launch::SetUp& s : order.set_up) {
    const auto is_open = [&open](int fd) {
      return std::find(open.begin(), open.end(), fd) != open.end();
    };
    if (s.kind == launch::OperationKind::close) {
      std::erase(open, s.fd);
      continue;
    }
    if (s.kind == launch::OperationKind::dup && !is_open(s.other)) return false;
    if (!is_open(s.fd)) open.push_back(s.fd);
  }
  return true;
}

Pending* Front::free_pending() {
  for (Pending& p : pendings_) {
    if (!p.active) return &p;
  }
  return nullptr;
}

void Front::fill_request(const Order& order, launch::LaunchRequest& request) {
  request.path = order.path.c_str();
  request.argv = order.argv.data();
  request.env = order.env;
  request.descriptors = order.descriptors;
  request.cwd = cwd_fd();
  request.umask = os::current_umask();
  request.signal_mask = mask_bits(top_level_mask);
  request.signal_ignored = ignored_after_restore(ignored_at_start_);
  request.set_up = order.set_up;
}

// bash closes its ends of pipes as soon as it believes that they were inherited.
void Front::own_descriptors(Pending& pending, const Order& order) {
  pending.owned.clear();
  for (int& fd : pending.fds) {
    if (std::find(order.to_own.begin(), order.to_own.end(), fd) == order.to_own.end()) continue;
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, floor_);
    if (copy < 0) continue;  // repeating the launch would fail then, with an error
    fd = copy;
    pending.owned.push_back(copy);
  }
}

// Claims a parked process that would serve `order` exactly if `look` says so, too: one of our own
// if we have any of the program, else one of the shell that forked us.
Reason Front::claim(const Order& order, Claimed& claimed) {
  const char* path = order.path.c_str();
  if (const Reason r = refusal(path); r != Reason::none) return r;
  if (pool_ == nullptr && upstream_ == nullptr) return nothing_parked();
  if (cwd_fd() >= 0 && cwd_is_shut_) return Reason::shut_directory;
  const int program = pool_ == nullptr ? -1 : pool_->find(path);
  if (program < 0) return claim_brokered(order, claimed);
  const auto index = static_cast<unsigned>(program);
  // What is half way through its start-up is ready sooner than a new one.
  pool_->wait_parked(index, kParkWaitMs);
  if (const Reason r = pool_->check_environment(index, order.env); r != Reason::none) return r;
  const auto result = pool_->claim(index, park::SlotKind::direct, kClaimWaitMs);
  if (result) {
    claimed = {pool_.get(), *result, false};
    return Reason::none;
  }
  // One that died before it could be used would most likely die again.
  const bool hopeless = result.error() == Reason::died && !pool_->was_opened(index);
  if (hopeless) refusals_.emplace_back(path, Reason::agent_failed);
  if (result.error() >= Reason::not_found && result.error() != Reason::died &&
      result.error() != Reason::file_changed) {
    refusals_.emplace_back(path, result.error());
  }
  return result.error();
}

// Whether what a claimed process was made of still holds. Of a brokered one that is known.
Reason Front::look(const Claimed& claimed) {
  if (claimed.brokered) return Reason::none;
  looked_at_.inherited = looked_at_.inherited || inherited_.unchanged();
  if (!looked_at_.inherited) {
    outdated_ = true;
    return Reason::limits_changed;
  }
  return claimed.pool->check_files(claimed.claim.program);
}

// In a forked subshell: the program's parent will be the shell that owns the pool, not we.
Reason Front::claim_brokered(const Order& order, Claimed& claimed) {
  if (upstream_ == nullptr || async_ancestor_) return nothing_parked();
  const int program = upstream_->find(order.path.c_str());
  if (program < 0) return Reason::not_parked_yet;
  const auto index = static_cast<unsigned>(program);
  if (upstream_->asks_parent(index) || mentions_proc(order)) return Reason::other_parent;
  looked_at_.upstream_inherited = looked_at_.upstream_inherited || upstream_inherited_.unchanged();
  if (!looked_at_.upstream_inherited) return Reason::limits_changed;
  if (const Reason r = upstream_->check_fresh(index, order.env); r != Reason::none) return r;
  const auto result = upstream_->claim(index, park::SlotKind::brokered, kClaimWaitMs);
  if (!result) return result.error();
  claimed = {upstream_.get(), *result, true};
  return Reason::none;
}

// All that is needed to make the launch, and to make it again. Null if there is no room for it.
Pending* Front::fill_pending(const Order& order, const Claimed& claimed) {
  Pending* pending = free_pending();
  if (pending == nullptr) return nullptr;
  launch::LaunchRequest request;
  fill_request(order, request);
  if (request.cwd < 0 || !launch::write_request(request, claimed.claim.generation, pending->wire)) {
    return nullptr;
  }
  pending->fds.clear();
  for (const Descriptor& d : order.descriptors) pending->fds.push_back(d.source);
  pending->fds.push_back(request.cwd);
  pending->hidden = false;
  pending->ahead = false;
  pending->ended = false;
  pending->settled = false;
  pending->replaced = false;
  pending->pool = claimed.pool;
  pending->brokered = claimed.brokered;
  pending->claim = claimed.claim;
  pending->pid = claimed.claim.pid;
  pending->shell_pid = claimed.brokered ? invent_pid() : pending->pid;
  pending->path = order.path;
  pending->start_ns = os::now_ns();
  return pending;
}

// Looking takes as long as it takes a parked process to wake up and get ready: where there is
// another processor for that, it is sent the request first.
void Front::send_ahead(Pending& pending) {
  pending.ahead = !pending.brokered && processors_ > 1 &&
                  pending.pool->send_ahead(pending.claim, pending.wire, pending.fds);
}

// From here on it may run. False: its process has died, or can't be reached.
bool Front::send(Pending& pending) {
  if (!std::exchange(pending.ahead, false)) {
    return pending.pool->release_bytes(pending.claim, pending.wire, pending.fds);
  }
  return pending.pool->grant(pending.claim);
}

// What is left to do once `pending` is under way. The pid for bash.
pid_t Front::finish_launch(const Order& order, Pending& pending, Rung rung) {
  if (rung != Rung::cold && pending.claim.slot < 0) spent_.push_back(order.path);
  own_descriptors(pending, order);
  count(order.path.c_str(), rung, Reason::none);
  return pending.shell_pid;
}

// The pid for bash, or 0 and why not.
pid_t Front::launch(const Order& order, Reason& reason) {
  Claimed claimed;
  Pending* pending = nullptr;
  reason = prepare_element(order, 0, false, claimed, pending);
  if (reason == Reason::none) {
    send_ahead(*pending);
    reason = look(claimed);
  }
  if (reason != Reason::none) {
    withdraw(claimed, pending);
    return 0;
  }
  if (!send(*pending)) {
    pending->active = false;
    reason = Reason::died;
    return 0;
  }
  return finish_launch(order, *pending, warm_rung(*pending));
}

// One of several that are launched together: there is no going back, so if the parked process can't
// be reached the element is started by a plain fork and exec. Its pid, or 0.
pid_t Front::send_element(const Order& order, Pending& pending) {
  if (send(pending)) return finish_launch(order, pending, warm_rung(pending));
  if (!spawn_cold(pending)) return 0;
  pending.shell_pid = pending.pid;
  return finish_launch(order, pending, Rung::cold);
}

}  // namespace prewarm::bash
