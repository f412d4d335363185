// SPDX-License-Identifier: MIT
//
// Pool: claiming, releasing, and hearing of the end.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "image/audit_variable.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/process.h"
#include "park/pool.h"
#include "park/pool_internal.h"

namespace prewarm::park {

using launch::Reason;

namespace {

// A launch that takes longer than this is worth being watched.
constexpr int kShortMs = 20;

}  // namespace

std::expected<Claim, Reason> Pool::claim(unsigned index, SlotKind kind, int wait_ms) {
  if (const Reason r = open_program(index); r != Reason::none) return std::unexpected(r);
  if (table_->programs[index].clonable.load() != 0) return claim_slot(index, kind, wait_ms);
  if (kind == SlotKind::brokered) return std::unexpected(Reason::pool_busy);
  return claim_self(index);
}

std::expected<Claim, Reason> Pool::claim_self(unsigned index) {
  Program& program = table_->programs[index];
  if (!advance(program.self_state, SlotState::idle, SlotState::claimed)) {
    return std::unexpected(Reason::pool_busy);
  }
  return Claim{index, -1, program.pid.load(), 0};
}

std::expected<Claim, Reason> Pool::claim_slot(unsigned index, SlotKind kind, int wait_ms) {
  Program& program = table_->programs[index];
  const std::int64_t deadline = os::now_ns() + wait_ms * os::kNsPerMs;
  bool asked = false;
  for (;;) {
    Slot* next = nullptr;
    for (unsigned k = 0; k < kSlotsPerProgram; ++k) {
      Slot& slot = program.slots[k];
      const SlotState s = state_of(slot.state);
      if (s == SlotState::idle && advance(slot.state, SlotState::idle, SlotState::claimed)) {
        slot.kind.store(value_of(kind));
        slot.claimer.store(::getpid());
        return Claim{index, static_cast<int>(k), slot.pid.load(), slot.generation.load()};
      }
      // The one that will be idle next; a claimed one may be set free because its claimer is gone.
      const bool likelier = s == SlotState::parking || (s == SlotState::empty && next == nullptr);
      if (likelier || (awaits_request(s) && next == nullptr)) next = &slot;
    }
    if (state_of_program(program) != ProgramState::parked) return std::unexpected(Reason::died);
    if (next == nullptr || wait_ms == 0 || os::now_ns() >= deadline) {
      return std::unexpected(Reason::pool_busy);
    }
    if (!asked) {
      // None was ready in time: keep one more from now on.
      if (reserved_count() < options_.max_warm && program.want.load() < kMostIdleClones) {
        program.want.fetch_add(1);
      }
      order_refill(index);
      asked = true;
    }
    const SlotState s = state_of(next->state);
    if (s != SlotState::idle && s != SlotState::running) {
      os::futex_wait_for(next->state, value(s), 2 * os::kNsPerMs);
    }
  }
}

void Pool::order_refill(unsigned index) {
  Program& program = table_->programs[index];
  program.orders.fetch_add(1);
  os::futex_wake_all(program.orders);
}

void Pool::refill(unsigned index) {
  const Program& program = table_->programs[index];
  if (program.clonable.load() == 0) return;
  // Several at a time where several are kept: each order wakes the zygote up.
  const unsigned want = program.want.load();
  if (count_warm(program) + (want + 1) / 2 <= want) order_refill(index);
}

// Without a memory for those that several programs need: a ready point has hundreds of its own.
bool Pool::is_as_it_was(const WatchedFile& file) {
  os::FileIdentity now;
  const bool exists = identify_file(file.path.c_str(), now);
  return exists == file.exists && (!exists || now == file.identity);
}

bool Pool::is_unchanged(const WatchedFile& file) {
  for (const WatchedFile& seen : seen_files_) {
    if (seen.path == file.path) return seen.exists == file.exists && seen.identity == file.identity;
  }
  WatchedFile& seen = seen_files_.emplace_back();
  seen.path = file.path;
  seen.exists = identify_file(file.path.c_str(), seen.identity);
  return seen.exists == file.exists && seen.identity == file.identity;
}

Reason Pool::check_fresh(unsigned index, char* const* env) {
  const Reason r = check_files(index);
  return r != Reason::none ? r : check_environment(index, env);
}

Reason Pool::check_files(unsigned index) {
  // Its variables and libraries are known from here on. Of what can't be used the claim says why.
  if (const Reason r = open_program(index); r != Reason::none) {
    return r == Reason::not_parked_yet ? r : Reason::none;
  }
  Entry& entry = entries_[index];
  os::FileIdentity now;
  bool same = identify_file(entry.path.c_str(), now) && now == entry.identity;
  for (const auto& file : entry.files) {
    same = same && (entry.ready_argv.empty() ? is_unchanged(file) : is_as_it_was(file));
  }
  if (!same) {
    retire(index);
    return Reason::file_changed;
  }
  return Reason::none;
}

Reason Pool::check_environment(unsigned index, char* const* env) {
  if (open_program(index) != Reason::none) return Reason::none;
  if (image::has_loader_variables(env)) return Reason::library_path;
  for (const auto& v : entries_[index].variables) {
    const char* found = nullptr;
    for (char* const* e = env; *e != nullptr && found == nullptr; ++e) {
      if (std::strncmp(*e, v.name.c_str(), v.name.size()) == 0 && (*e)[v.name.size()] == '=') {
        found = *e + v.name.size() + 1;
      }
    }
    if ((found != nullptr) != v.set || (found != nullptr && v.value != found)) {
      return Reason::variable_changed;
    }
  }
  return Reason::none;
}

bool Pool::release(const Claim& claim, const launch::LaunchRequest& request) {
  wire_fds_.clear();
  for (const auto& d : request.descriptors) wire_fds_.push_back(d.source);
  wire_fds_.push_back(request.cwd);
  if (!launch::write_request(request, claim.generation, wire_)) {
    revoke(claim);
    return false;
  }
  return release_bytes(claim, wire_, wire_fds_);
}

bool Pool::release_bytes(const Claim& claim, std::span<char> bytes,
                         std::span<const int> descriptors) {
  Entry& entry = entries_[claim.program];
  const int socket = claim.slot < 0 ? entry.control.get()
                                    : entry.slot_sockets[static_cast<unsigned>(claim.slot)].get();
  auto& header = *reinterpret_cast<launch::RequestHeader*>(bytes.data());
  header.generation = claim.generation;
  os::Fd memfd;
  int fds[launch::kMaxDescriptors + 2];
  std::size_t count = descriptors.size();
  if (count > launch::kMaxDescriptors + 1) {
    revoke(claim);
    return false;
  }
  std::memcpy(fds, descriptors.data(), count * sizeof(int));
  std::size_t size = bytes.size();
  if (size > launch::kInlineBytes) {
    memfd.reset(::memfd_create("prewarm-request", MFD_CLOEXEC));
    if (!memfd.valid() || ::write(memfd.get(), bytes.data(), size) != static_cast<ssize_t>(size)) {
      revoke(claim);
      return false;
    }
    fds[count++] = memfd.get();
    size = sizeof header;
    header.flags |= launch::kRequestInMemfd;
  }
  iovec iov{bytes.data(), size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)];
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* c = reinterpret_cast<cmsghdr*>(control);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memcpy(CMSG_DATA(c), fds, count * sizeof(int));
  const bool sent =
      ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(size);
  header.flags &= ~static_cast<std::uint32_t>(launch::kRequestInMemfd);
  if (!sent) revoke(claim);
  // It died before, and was known to be dead: then nobody else would clear the socket.
  if (sent && claim.slot >= 0 && state(claim) == SlotState::empty) {
    table_->programs[claim.program].slots[claim.slot].lost.store(1);
    order_refill(claim.program);
  }
  return sent;
}

bool Pool::send_ahead(const Claim& claim, std::span<char> bytes, std::span<const int> descriptors) {
  auto& header = *reinterpret_cast<launch::RequestHeader*>(bytes.data());
  header.flags |= launch::kRequestAwaitsGrant;
  const bool sent = release_bytes(claim, bytes, descriptors);
  header.flags &= ~static_cast<std::uint32_t>(launch::kRequestAwaitsGrant);
  return sent;
}

bool Pool::grant(const Claim& claim) {
  if (state(claim) != SlotState::claimed) return false;
  auto& word = word_of(claim);
  if (!advance(word, SlotState::claimed, SlotState::granted)) return false;
  os::futex_wake_all(word);
  return true;
}

std::atomic<std::uint32_t>& Pool::word_of(const Claim& claim) const {
  Program& program = table_->programs[claim.program];
  return claim.slot < 0 ? program.self_state : program.slots[claim.slot].state;
}

SlotState Pool::state(const Claim& claim) const {
  const Program& program = table_->programs[claim.program];
  if (claim.slot < 0) return state_of(program.self_state);
  const Slot& slot = program.slots[claim.slot];
  if (slot.generation.load() != claim.generation) return SlotState::empty;
  return state_of(slot.state);
}

bool Pool::detach(const Claim& claim) {
  if (claim.slot < 0 || state(claim) != SlotState::running) return false;
  Slot& slot = table_->programs[claim.program].slots[claim.slot];
  slot.pid.store(0);
  return advance(slot.state, SlotState::running, SlotState::empty);
}

void Pool::give_back(const Claim& claim) {
  // What was retired meanwhile is of no use to anybody.
  if (entries_[claim.program].stale) return revoke(claim);
  advance(word_of(claim), SlotState::claimed, SlotState::idle);
}

void Pool::revoke(const Claim& claim) {
  if (claim.pid > 0) ::kill(claim.pid, SIGKILL);
}

Ended Pool::note_ended(pid_t pid, int status) {
  for (unsigned i = 0; i < program_count_; ++i) {
    Program& program = table_->programs[i];
    if (program.pid.load() == pid) {
      program.pid.store(0);
      const ProgramState was = state_of_program(program);
      const auto& task = entries_[i].task;
      const bool not_executed = task != nullptr && task->has_failed();
      const bool failed = WIFEXITED(status) || not_executed;
      if (was == ProgramState::starting && failed) {
        // It ended by itself, and would do so again.
        const bool ran = !entries_[i].ready_argv.empty() && !not_executed;
        const Reason reason = ran ? Reason::no_ready_point : Reason::agent_failed;
        program.reason.store(static_cast<std::uint32_t>(reason));
        program.state.store(static_cast<std::uint32_t>(ProgramState::refused));
        os::futex_wake_all(program.state);
      } else if (was != ProgramState::refused) {
        program.state.store(static_cast<std::uint32_t>(ProgramState::gone));
        os::futex_wake_all(program.state);
      }
      return state_of(program.self_state) == SlotState::running ? Ended::launched : Ended::parked;
    }
    for (Slot& slot : program.slots) {
      const SlotState s = state_of(slot.state);
      if (slot.pid.load() != pid || s == SlotState::empty || s == SlotState::exited) continue;
      const Ended ended = end_slot(slot, s, status);
      if (slot.lost.load() != 0) order_refill(i);
      return ended;
    }
  }
  return Ended::not_ours;
}

Ended Pool::end_slot(Slot& slot, SlotState was, int status) {
  slot.pid.store(0);
  const bool brokered = slot.kind.load() == value_of(SlotKind::brokered);
  const bool launched = was == SlotState::running;
  if (awaits_request(was)) slot.lost.store(1);
  slot.status.store(status);
  slot.state.store(value(launched && brokered ? SlotState::exited : SlotState::empty),
                   std::memory_order_release);
  os::futex_wake_all(slot.state);
  if (!launched) return Ended::parked;
  return brokered ? Ended::brokered : Ended::launched;
}

bool Pool::wait_taken(const Claim& claim) {
  auto& word = word_of(claim);
  for (;;) {
    const SlotState s = state(claim);
    if (s == SlotState::running || s == SlotState::exited) return true;
    if (!awaits_request(s)) return false;
    os::futex_wait_for(word, value(s), 5 * os::kNsPerMs);
    // Nobody may have told us yet that it died.
    if (awaits_request(state(claim)) && os::ended(claim.pid)) return false;
  }
}

bool Pool::wait_change(const Claim& claim, os::Fd& watch, int wait_ms) {
  auto& word = table_->programs[claim.program].slots[claim.slot].state;
  const SlotState s = state(claim);
  if (!awaits_request(s) && s != SlotState::running) return true;
  if (!watch.valid()) wait_ms = std::min(wait_ms, kShortMs);
  const long waited = os::futex_wait_for(word, value(s), wait_ms * os::kNsPerMs);
  if (waited == -ETIMEDOUT && !watch.valid()) begin_watch(claim, watch);
  return waited != -EINTR;
}

// From now on we can learn how its process ends even if the owner can't tell us any more.
void Pool::begin_watch(const Claim& claim, os::Fd& watch) const {
  watch = os::move_above(os::watch(claim.pid), options_.descriptor_floor);
}

bool Pool::owner_is_alive() const {
  // Whose parent has ended gets another one at once, even if nobody has waited for it yet.
  return ::getppid() == owner() || !os::ended(owner());
}

Brokered Pool::look(const Claim& claim, os::Fd& watch, int& status) {
  Slot& slot = table_->programs[claim.program].slots[claim.slot];
  const SlotState s = state(claim);
  if (s == SlotState::exited) {
    status = slot.status.load();
    slot.state.store(value(SlotState::empty), std::memory_order_release);
    return Brokered::ended;
  }
  if (!awaits_request(s) && s != SlotState::running) return Brokered::never_ran;
  if (owner_is_alive()) return Brokered::under_way;
  // Nobody will ever report; unless it was done just now.
  if (state(claim) != s) return look(claim, watch, status);
  if (awaits_request(s)) {
    return os::ended(claim.pid) ? Brokered::never_ran : Brokered::under_way;
  }
  if (!watch.valid()) begin_watch(claim, watch);
  if (!(watch.valid() ? os::ended(watch) : os::ended(claim.pid))) return Brokered::under_way;
  const auto ended = watch.valid() ? os::ended_status(watch, claim.pid) : std::nullopt;
  status = ended.value_or(SIGKILL);
  return Brokered::ended;
}

bool Pool::wait_brokered(const Claim& claim, int& status) {
  constexpr int kLookMs = 1000;
  os::Fd watch;
  Brokered now;
  while ((now = look(claim, watch, status)) == Brokered::under_way) {
    wait_change(claim, watch, kLookMs);
  }
  return now == Brokered::ended;
}

}  // namespace prewarm::park
