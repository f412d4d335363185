// SPDX-License-Identifier: MIT
#include "park/pool.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace prewarm::park {
namespace {

using launch::Reason;

constexpr unsigned kMostIdleClones = 4;

std::int64_t now_ns(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return t.tv_sec * 1000000000 + t.tv_nsec;
}

void wake(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

// Waits while `word` is `value`, at most `wait_ms`. True if it may have changed.
bool wait_while(std::atomic<std::uint32_t>& word, std::uint32_t value, int wait_ms) {
  const timespec limit{wait_ms / 1000, (wait_ms % 1000) * 1000000L};
  const long r = ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &limit, nullptr, 0);
  return r == 0 || errno != ETIMEDOUT;
}

std::uint32_t value(SlotState s) { return static_cast<std::uint32_t>(s); }
// Whether `pid` has ended, even if nobody has waited for it yet.
bool has_died(pid_t pid) {
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
    return info.si_pid == pid;
  }
  return ::kill(pid, 0) != 0;
}

ProgramState state_of_program(const Program& p) {
  return static_cast<ProgramState>(p.state.load(std::memory_order_acquire));
}
bool is_library(const std::string& path) {
  return path.find(".so") != std::string::npos && path != "/etc/ld.so.cache";
}

// Whether a program's place in the table can be used again.
bool is_free(const Program& p) {
  const ProgramState s = state_of_program(p);
  if (s == ProgramState::vacant) return true;
  if (s != ProgramState::gone) return false;
  for (const Slot& slot : p.slots) {
    if (state_of(slot.state) != SlotState::empty) return false;
  }
  return true;
}

bool is_warm(SlotState s) { return s == SlotState::parking || s == SlotState::idle; }

// Environment and arguments of a program that is to park.
void prepare_parked(os::SharedSpawn& spawn, const char* path, char* const* env,
                    const std::string& agent_path, unsigned index, bool may_clone) {
  spawn.path = path;
  // If the agent could not be loaded after all, the program would run: so it is asked for nothing
  // but its version, under a name that no multi-call program knows.
  static char name[] = "prewarm-parked";
  static char version[] = "--version";
  spawn.argv = {name, version};
  spawn.strings.reserve(4);
  spawn.strings.push_back("LD_PRELOAD=" + agent_path);
  // Descriptors 3 and 4 are the table and the control socket; the agent moves them itself.
  spawn.strings.push_back("PREWARM_PARK=3:4:" + std::to_string(index) + (may_clone ? ":1" : ":0"));
  for (auto& s : spawn.strings) spawn.env.push_back(s.data());
  spawn.append_environment(env);
  spawn.terminate();
  spawn.directory = "/";
  spawn.block_signals = true;
  spawn.default_signals = true;
}

}  // namespace

os::Result<std::unique_ptr<Pool>> Pool::create(PoolOptions options) {
  // Parked programs are given descriptors 0 to 4, from ours, which must be above them.
  constexpr int kLowestFloor = 16;
  options.descriptor_floor = std::max(options.descriptor_floor, kLowestFloor);
  std::unique_ptr<Pool> pool(new Pool(std::move(options)));
  if (::access(pool->options_.agent_path.c_str(), R_OK) != 0) {
    return os::failed("find the agent", pool->options_.agent_path);
  }
  if (auto mapped = pool->map_table(); !mapped) return std::unexpected(mapped.error());
  pool->null_fd_ = os::move_above(os::Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)),
                                  pool->options_.descriptor_floor);
  if (!pool->null_fd_.valid()) return os::failed("open", "/dev/null");
  return pool;
}

os::Result<void> Pool::map_table() {
  table_fd_ = os::move_above(os::Fd(::memfd_create("prewarm-pool", MFD_CLOEXEC)),
                             options_.descriptor_floor);
  if (!table_fd_.valid()) return os::failed("create the pool table");
  if (::ftruncate(table_fd_.get(), sizeof(Table)) != 0) return os::failed("size the pool table");
  void* at = ::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, table_fd_.get(), 0);
  if (at == MAP_FAILED) return os::failed("map the pool table");
  table_ = static_cast<Table*>(at);
  table_->magic = kTableMagic;
  table_->version = kTableVersion;
  table_->owner.store(::getpid());
  return {};
}

Pool::~Pool() {
  if (table_ == nullptr) return;
  if (is_owner()) shut_down();
  abandon();
}

bool Pool::is_owner() const { return table_ != nullptr && table_->owner.load() == ::getpid(); }

bool Pool::owns_descriptor(int fd) const {
  if (fd == table_fd_.get() || fd == null_fd_.get()) return true;
  for (unsigned i = 0; i < program_count_; ++i) {
    if (entries_[i].control.get() == fd) return true;
    for (const auto& s : entries_[i].slot_sockets) {
      if (s.get() == fd) return true;
    }
  }
  return false;
}

unsigned Pool::warm_count() const {
  unsigned n = 0;
  for (unsigned i = 0; i < program_count_; ++i) {
    const Program& p = table_->programs[i];
    const ProgramState s = state_of_program(p);
    if (s != ProgramState::starting && s != ProgramState::parked) continue;
    ++n;
    for (const Slot& slot : p.slots) n += is_warm(state_of(slot.state));
  }
  return n;
}

unsigned Pool::reserved_count() const {
  unsigned n = 0;
  for (unsigned i = 0; i < program_count_; ++i) {
    const Program& p = table_->programs[i];
    const ProgramState s = state_of_program(p);
    if (s == ProgramState::starting || s == ProgramState::parked) n += 1 + p.want.load();
  }
  return n;
}

unsigned Pool::starting_count() const {
  unsigned n = 0;
  for (unsigned i = 0; i < program_count_; ++i) {
    n += state_of_program(table_->programs[i]) == ProgramState::starting;
  }
  return n;
}

unsigned Pool::unused_count() const {
  unsigned n = 0;
  for (unsigned i = 0; i < program_count_; ++i) {
    n += is_warm(state_of(table_->programs[i].self_state)) &&
         state_of_program(table_->programs[i]) == ProgramState::parked;
  }
  return n;
}

int Pool::find(const char* path) const {
  for (unsigned i = program_count_; i-- > 0;) {
    const ProgramState s = state_of_program(table_->programs[i]);
    const bool spent = state_of(table_->programs[i].self_state) == SlotState::running;
    if (s != ProgramState::vacant && s != ProgramState::gone && !spent && !entries_[i].stale &&
        entries_[i].path == path) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

std::expected<unsigned, Reason> Pool::park(const char* path, char* const* env, unsigned want,
                                           Isolation isolation) {
  if (!is_owner()) return std::unexpected(Reason::not_parked_yet);
  const unsigned reserved = reserved_count();
  if (reserved >= options_.max_warm) return std::unexpected(Reason::limit_reached);
  const Eligibility eligible = check_program(path, options_.more_directories.c_str());
  if (eligible.reason != Reason::none) return std::unexpected(eligible.reason);
  if (has_loader_variables(env)) return std::unexpected(Reason::library_path);
  unsigned index = 0;
  while (index < program_count_ && !is_free(table_->programs[index])) ++index;
  if (index == kMaxPrograms) return std::unexpected(Reason::limit_reached);

  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return std::unexpected(Reason::system_refused);
  }
  Entry& entry = entries_[index];
  entry = Entry{};
  entry.control = os::move_above(os::Fd(pair[0]), options_.descriptor_floor);
  const os::Fd theirs = os::move_above(os::Fd(pair[1]), options_.descriptor_floor);
  entry.path = path;
  entry.identity = eligible.identity;
  entry.asks_parent = eligible.asks_parent;
  for (const auto& directory : eligible.search_directories) {
    WatchedFile watched{directory, {}, false};
    watched.exists = identify_file(directory.c_str(), watched.identity);
    entry.files.push_back(std::move(watched));
  }
  entry.parked_at_ns = now_ns(CLOCK_REALTIME);

  const bool may_clone =
      want > 0 && isolation == Isolation::clone && eligible.isolation == Isolation::clone;
  Program& program = table_->programs[index];
  program.owner.store(owner());
  program.clonable.store(0);
  program.learn_state.store(0);
  program.range_count.store(0);
  program.self_state.store(value(SlotState::parking));
  program.want.store(std::min({want, kMostIdleClones, options_.max_warm - reserved - 1}));
  program.state.store(static_cast<std::uint32_t>(ProgramState::starting));
  entry.spawn = std::make_unique<os::SharedSpawn>();
  prepare_parked(*entry.spawn, path, env, options_.agent_path, index, may_clone);
  entry.spawn->descriptors = {null_fd_.get(), null_fd_.get(), null_fd_.get(), table_fd_.get(),
                              theirs.get()};
  const pid_t pid = os::spawn_shared(*entry.spawn);
  if (pid < 0) {
    program.state.store(static_cast<std::uint32_t>(ProgramState::vacant));
    return std::unexpected(Reason::system_refused);
  }
  program.pid.store(pid);
  if (index == program_count_) ++program_count_;
  return index;
}

bool Pool::receive_sockets(Entry& entry) {
  char hello;
  iovec iov{&hello, 1};
  int fds[kSlotsPerProgram];
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)];
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(entry.control.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) return false;
  const cmsghdr* c = CMSG_FIRSTHDR(&message);
  if (c == nullptr || c->cmsg_type != SCM_RIGHTS) return false;
  const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  std::memcpy(fds, CMSG_DATA(c), std::min(sizeof fds, count * sizeof(int)));
  for (std::size_t i = 0; i < count; ++i) {
    entry.slot_sockets.push_back(os::move_above(os::Fd(fds[i]), options_.descriptor_floor));
  }
  return count == kSlotsPerProgram && (message.msg_flags & MSG_CTRUNC) == 0;
}

bool Pool::read_manifest(unsigned index) {
  Entry& entry = entries_[index];
  const char* at = table_->manifests[index];
  const char* end =
      at + std::min<std::size_t>(table_->programs[index].manifest_used, kManifestBytes);
  while (at < end) {
    ManifestRecord r;
    if (static_cast<std::size_t>(end - at) < sizeof r) return false;
    std::memcpy(&r, at, sizeof r);
    if (r.text_size > static_cast<std::size_t>(end - at) - sizeof r) return false;
    std::string text(at + sizeof r, r.text_size);
    if (r.kind == ManifestKind::file) {
      // Changed while it was being linked: nobody can say which of the two was mapped.
      if (r.identity.changed_ns >= entry.parked_at_ns) return false;
      if (is_library(text) && has_own_search_path(text.c_str())) return false;
      entry.files.push_back({std::move(text), r.identity, true});
    } else {
      const auto equals = text.find('=');
      const bool set = equals != std::string::npos;
      entry.variables.push_back(
          {text.substr(0, equals), set ? text.substr(equals + 1) : std::string(), set});
    }
    at += (sizeof r + r.text_size + 7) & ~std::size_t{7};
  }
  return true;
}

// The first use of a parked program: it must have finished parking; take over its sockets and
// what its validity depends on.
Reason Pool::open_program(unsigned index) {
  Entry& entry = entries_[index];
  Program& program = table_->programs[index];
  if (entry.stale) return Reason::file_changed;
  const ProgramState s = state_of_program(program);
  if (s == ProgramState::refused) return static_cast<Reason>(program.reason.load());
  if (s == ProgramState::gone) return Reason::died;
  if (s != ProgramState::parked) return Reason::not_parked_yet;
  if (entry.opened) return Reason::none;
  if (!is_owner()) return Reason::not_parked_yet;
  entry.spawn.reset();
  if ((program.clonable.load() != 0 && !receive_sockets(entry)) || !read_manifest(index)) {
    entry.stale = true;
    return Reason::file_changed;
  }
  entry.opened = true;
  return Reason::none;
}

void Pool::take_over_parked() {
  for (unsigned i = 0; i < program_count_; ++i) {
    if (!entries_[i].opened) open_program(i);
  }
}

bool Pool::wait_parked(unsigned index, int wait_ms) {
  Program& program = table_->programs[index];
  const std::int64_t deadline = now_ns(CLOCK_MONOTONIC) + std::int64_t{wait_ms} * 1000000;
  while (state_of_program(program) == ProgramState::starting) {
    const std::int64_t left = deadline - now_ns(CLOCK_MONOTONIC);
    if (left <= 0) return false;
    wait_while(program.state, static_cast<std::uint32_t>(ProgramState::starting),
               static_cast<int>(left / 1000000) + 1);
  }
  return true;
}

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
  const std::int64_t deadline = now_ns(CLOCK_MONOTONIC) + std::int64_t{wait_ms} * 1000000;
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
      if (likelier || (s == SlotState::claimed && next == nullptr)) next = &slot;
    }
    if (state_of_program(program) != ProgramState::parked) return std::unexpected(Reason::died);
    if (next == nullptr || wait_ms == 0 || now_ns(CLOCK_MONOTONIC) >= deadline) {
      return std::unexpected(Reason::pool_busy);
    }
    if (!asked) {
      // None was ready in time: keep one more from now on.
      if (reserved_count() < options_.max_warm && program.want.load() < kMostIdleClones) {
        program.want.fetch_add(1);
      }
      order_refill(entries_[index]);
      asked = true;
    }
    const SlotState s = state_of(next->state);
    if (s != SlotState::idle && s != SlotState::running) wait_while(next->state, value(s), 2);
  }
}

void Pool::order_refill(Entry& entry) {
  const char order = static_cast<char>(Control::refill);
  ::send(entry.control.get(), &order, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void Pool::refill(unsigned index) {
  const Program& program = table_->programs[index];
  if (program.clonable.load() == 0) return;
  unsigned warm = 0;
  for (const Slot& slot : program.slots) warm += is_warm(state_of(slot.state));
  if (warm < program.want.load()) order_refill(entries_[index]);
}

Reason Pool::check_fresh(unsigned index, char* const* env) {
  Entry& entry = entries_[index];
  FileIdentity now;
  bool same = identify_file(entry.path.c_str(), now) && now == entry.identity;
  for (const auto& file : entry.files) {
    const bool exists = identify_file(file.path.c_str(), now);
    same = same && exists == file.exists && (!exists || now == file.identity);
  }
  if (!same) {
    entry.stale = true;
    return Reason::file_changed;
  }
  if (has_loader_variables(env)) return Reason::library_path;
  for (const auto& v : entry.variables) {
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
    forget(claim);
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
    forget(claim);
    return false;
  }
  std::memcpy(fds, descriptors.data(), count * sizeof(int));
  std::size_t size = bytes.size();
  if (size > launch::kInlineBytes) {
    memfd.reset(::memfd_create("prewarm-request", MFD_CLOEXEC));
    if (!memfd.valid() || ::write(memfd.get(), bytes.data(), size) != static_cast<ssize_t>(size)) {
      forget(claim);
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
  if (!sent) forget(claim);
  return sent;
}

SlotState Pool::state(const Claim& claim) const {
  const Program& program = table_->programs[claim.program];
  if (claim.slot < 0) return state_of(program.self_state);
  const Slot& slot = program.slots[claim.slot];
  if (slot.generation.load() != claim.generation) return SlotState::empty;
  return state_of(slot.state);
}

void Pool::give_back(const Claim& claim) {
  Program& program = table_->programs[claim.program];
  auto& word = claim.slot < 0 ? program.self_state : program.slots[claim.slot].state;
  advance(word, SlotState::claimed, SlotState::idle);
}

// The request will never come: the process is of no use any more.
void Pool::forget(const Claim& claim) { ::kill(claim.pid, SIGKILL); }

Ended Pool::note_ended(pid_t pid, int status) {
  for (unsigned i = 0; i < program_count_; ++i) {
    Program& program = table_->programs[i];
    if (program.pid.load() == pid) {
      program.pid.store(0);
      if (state_of_program(program) != ProgramState::refused) {
        program.state.store(static_cast<std::uint32_t>(ProgramState::gone));
        wake(program.state);
      }
      return state_of(program.self_state) == SlotState::running ? Ended::launched : Ended::parked;
    }
    for (Slot& slot : program.slots) {
      const SlotState s = state_of(slot.state);
      if (slot.pid.load() != pid || s == SlotState::empty || s == SlotState::exited) continue;
      const Ended ended = end_slot(slot, s, status);
      if (slot.lost.load() != 0) order_refill(entries_[i]);
      return ended;
    }
  }
  return Ended::not_ours;
}

Ended Pool::end_slot(Slot& slot, SlotState was, int status) {
  slot.pid.store(0);
  const bool brokered = slot.kind.load() == value_of(SlotKind::brokered);
  const bool launched = was == SlotState::running;
  if (was == SlotState::claimed) slot.lost.store(1);
  slot.status.store(status);
  slot.state.store(value(launched && brokered ? SlotState::exited : SlotState::empty),
                   std::memory_order_release);
  wake(slot.state);
  if (!launched) return Ended::parked;
  return brokered ? Ended::brokered : Ended::launched;
}

bool Pool::wait_taken(const Claim& claim) {
  Program& program = table_->programs[claim.program];
  auto& word = claim.slot < 0 ? program.self_state : program.slots[claim.slot].state;
  for (;;) {
    const SlotState s = state(claim);
    if (s == SlotState::running || s == SlotState::exited) return true;
    if (s != SlotState::claimed) return false;
    wait_while(word, value(s), 50);
    // Nobody may have told us yet that it died.
    if (state(claim) == SlotState::claimed && has_died(claim.pid)) return false;
  }
}

bool Pool::wait_change(const Claim& claim, int wait_ms) {
  auto& word = table_->programs[claim.program].slots[claim.slot].state;
  const SlotState s = state(claim);
  if (s != SlotState::claimed && s != SlotState::running) return true;
  const timespec limit{wait_ms / 1000, (wait_ms % 1000) * 1000000L};
  return ::syscall(SYS_futex, &word, FUTEX_WAIT, value(s), &limit, nullptr, 0) == 0 ||
         errno != EINTR;
}

bool Pool::owner_is_alive() const { return ::kill(owner(), 0) == 0; }

bool Pool::wait_brokered(const Claim& claim, int& status) {
  Slot& slot = table_->programs[claim.program].slots[claim.slot];
  for (;;) {
    const SlotState s = state(claim);
    if (s == SlotState::exited) {
      status = slot.status.load();
      slot.state.store(value(SlotState::empty), std::memory_order_release);
      return true;
    }
    if (s != SlotState::running) return false;
    wait_while(slot.state, value(s), 1000);
    // The owner is gone: nobody will ever report.
    if (state(claim) == SlotState::running && !owner_is_alive()) return false;
  }
}

// No zygote is left: what was being made ends by itself, what was claimed but not taken never runs.
void Pool::end_unreleased(Slot& slot) {
  for (int i = 0; i < 100 && state_of(slot.state) == SlotState::parking; ++i) {
    if (slot.pid.load() == 0) break;
    wait_while(slot.state, value(SlotState::parking), 1);
  }
  advance(slot.state, SlotState::claimed, SlotState::empty);
  advance(slot.state, SlotState::parking, SlotState::empty);
}

void Pool::shut_down() {
  for (unsigned i = 0; i < program_count_; ++i) {
    Entry& entry = entries_[i];
    entry.control.reset();
    entry.slot_sockets.clear();
  }
  const auto reap = [](std::atomic<std::int32_t>& pid) {
    const pid_t p = pid.exchange(0);
    siginfo_t info{};
    // Only if it is a child of ours.
    if (p <= 0 || ::waitid(P_PID, static_cast<id_t>(p), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
      return;
    }
    ::kill(p, SIGKILL);
    while (::waitpid(p, nullptr, 0) < 0 && errno == EINTR) {
    }
  };
  for (unsigned i = 0; i < program_count_; ++i) {
    Program& program = table_->programs[i];
    if (state_of_program(program) == ProgramState::vacant) continue;
    if (state_of(program.self_state) != SlotState::running) reap(program.pid);
    for (Slot& slot : program.slots) {
      end_unreleased(slot);
      const SlotState s = state_of(slot.state);
      if (s == SlotState::empty || s == SlotState::idle) reap(slot.pid);
    }
    program.state.store(static_cast<std::uint32_t>(ProgramState::gone));
  }
  program_count_ = 0;
}

void Pool::abandon() {
  for (auto& entry : entries_) {
    entry.control.reset();
    entry.slot_sockets.clear();
  }
  if (table_ != nullptr) ::munmap(table_, sizeof(Table));
  table_ = nullptr;
  table_fd_.reset();
  null_fd_.reset();
  program_count_ = 0;
}

}  // namespace prewarm::park
