// SPDX-License-Identifier: MIT
#include "park/pool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "image/audit_variable.h"
#include "os/clock.h"
#include "os/futex.h"
#include "park/parked_start.h"
#include "park/part.h"
#include "park/pool_internal.h"

namespace prewarm::park {
namespace {

using launch::Reason;

bool is_library(const std::string& path) {
  return path.find(".so") != std::string::npos && !path.starts_with("/etc/ld.so.");
}

// The mount that `path` leads to; 0 if it can't be told.
std::uint64_t mount_of(const char* path) {
  struct statx s{};
  if (::statx(AT_FDCWD, path, 0, STATX_MNT_ID, &s) != 0) return 0;
  return (s.stx_mask & STATX_MNT_ID) != 0 ? s.stx_mnt_id : 0;
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

// Makes a place in the table one of a program that is being started, to have `want` idle clones.
void begin(Program& program, pid_t owner, unsigned want) {
  program.owner.store(owner);
  program.clonable.store(0);
  program.learn_state.store(0);
  program.releases.store(0);
  program.range_count.store(0);
  program.interrupted.store(0);
  program.self_state.store(value(SlotState::parking));
  program.want.store(want);
  program.state.store(static_cast<std::uint32_t>(ProgramState::starting));
}

}  // namespace

os::Result<std::unique_ptr<Pool>> Pool::create(PoolOptions options) {
  // Parked programs are given descriptors 0 to 4, from ours, which must be above them.
  constexpr int kLowestFloor = 16;
  options.descriptor_floor = std::max(options.descriptor_floor, kLowestFloor);
  std::unique_ptr<Pool> pool(new Pool(std::move(options)));
  pool->asks_for_images_ = !pool->options_.restorer_path.empty();
  if (!pool->agent_is_whole()) {
    return os::failed_with(0, "use as agent", pool->options_.agent_path);
  }
  if (auto mapped = pool->map_table(); !mapped) return std::unexpected(mapped.error());
  pool->null_fd_ = os::move_above(os::Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)),
                                  pool->options_.descriptor_floor);
  if (!pool->null_fd_.valid()) return os::failed("open", "/dev/null");
  pool->mounts_ = os::move_above(os::Fd(::open("/proc/self/mounts", O_RDONLY | O_CLOEXEC)),
                                 pool->options_.descriptor_floor);
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

// Removed or replaced, as by an upgrade: what is parked without the agent would run.
bool Pool::agent_is_whole() {
  os::FileIdentity now;
  const char* path = options_.agent_path.c_str();
  if (!identify_file(path, now)) return false;
  if (now == agent_) return true;
  if (!is_part(path, Part::agent)) return false;
  agent_ = now;
  return true;
}

// What is parked keeps its file systems busy, and whoever mounts one may want to unmount it.
bool Pool::mounts_have_changed() {
  pollfd table{mounts_.get(), POLLPRI, 0};
  mounts_changed_ = mounts_changed_ || !mounts_.valid() || ::poll(&table, 1, 0) != 0;
  return mounts_changed_;
}

// The root and the file system of the shell are busy anyway.
bool Pool::may_be_unmounted(const char* path) {
  if (!mounts_have_changed()) return false;
  const std::uint64_t mount = mount_of(path);
  return mount != mount_of("/") && mount != mount_of("/proc/self/exe");
}

bool Pool::is_owner() const { return table_ != nullptr && table_->owner.load() == ::getpid(); }

bool Pool::owns_descriptor(int fd) const {
  if (fd == table_fd_.get() || fd == null_fd_.get() || fd == mounts_.get()) return true;
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
    const SlotState self = state_of(table_->programs[i].self_state);
    const bool spent = awaits_request(self) || self == SlotState::running;
    if (s != ProgramState::vacant && s != ProgramState::gone && !spent && !entries_[i].stale &&
        entries_[i].path == path && entries_[i].ready_argv.empty()) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

int Pool::find_ready(const char* path, char* const* argv) const {
  for (unsigned i = program_count_; i-- > 0;) {
    const Entry& entry = entries_[i];
    const ProgramState s = state_of_program(table_->programs[i]);
    if (s == ProgramState::vacant || s == ProgramState::gone || entry.stale) continue;
    if (entry.path != path || entry.ready_argv.empty()) continue;
    std::size_t same = 0;
    while (same < entry.ready_argv.size() && argv[same] != nullptr &&
           entry.ready_argv[same] == argv[same]) {
      ++same;
    }
    if (same == entry.ready_argv.size() && argv[same] == nullptr) return static_cast<int>(i);
  }
  return -1;
}

std::expected<unsigned, Reason> Pool::park(const char* path, char* const* env, unsigned want,
                                           Isolation isolation) {
  // If the agent could not be loaded after all, the program would run: so it is asked for nothing
  // but its version, under a name that no multi-call program knows.
  static char name[] = "prewarm-parked";
  static char version[] = "--version";
  static char* const argv[] = {name, version, nullptr};
  const Eligibility eligible = check_program(path, options_.more_directories.c_str());
  const bool may_clone =
      want > 0 && isolation == Isolation::clone && eligible.isolation == Isolation::clone;
  return park_eligible(path, {path, argv, env, may_clone, false}, want, eligible);
}

std::expected<unsigned, Reason> Pool::park_ready(const char* path, const char* start,
                                                 char* const* argv, char* const* env,
                                                 unsigned want) {
  const Eligibility eligible = check_program(path, "/");
  const auto parked =
      park_eligible(path, {start == nullptr ? path : start, argv, env, true, true}, want, eligible);
  if (!parked) return parked;
  for (char* const* a = argv; *a != nullptr; ++a) entries_[*parked].ready_argv.emplace_back(*a);
  return parked;
}

std::expected<unsigned, Reason> Pool::park_eligible(const char* path, const Start& how,
                                                    unsigned want, const Eligibility& eligible) {
  if (!is_owner()) return std::unexpected(Reason::not_parked_yet);
  const unsigned reserved = reserved_count();
  if (reserved >= options_.max_warm) return std::unexpected(Reason::limit_reached);
  if (eligible.reason != Reason::none) return std::unexpected(eligible.reason);
  if (image::has_loader_variables(how.env)) return std::unexpected(Reason::library_path);
  if (!agent_is_whole()) return std::unexpected(Reason::agent_missing);
  // Nobody knows yet where its libraries lie.
  if (mounts_have_changed()) return std::unexpected(Reason::mounts_changed);
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
  if (!entry.control.valid() || !theirs.valid()) {
    entry.control.reset();
    return std::unexpected(Reason::limit_reached);
  }
  entry.path = path;
  entry.identity = eligible.identity;
  entry.asks_parent = eligible.asks_parent;
  const auto watch = [&entry](std::string file) {
    WatchedFile watched{std::move(file), {}, false};
    watched.exists = identify_file(watched.path.c_str(), watched.identity);
    entry.files.push_back(std::move(watched));
  };
  for (const auto& directory : eligible.search_directories) watch(directory);
  watch("/etc/ld.so.preload");
  // The clock by which files are said to have changed.
  entry.parked_at_ns = os::now_ns(CLOCK_REALTIME_COARSE);

  Program& program = table_->programs[index];
  begin(program, owner(),
        how.may_clone ? std::min({want, kMostIdleClones, options_.max_warm - reserved - 1}) : 0);
  ParkedStart start(
      {options_.agent_path, options_.restorer_path, index, how.may_clone, how.to_ready_point},
      how.env);
  // What is executed to get to a ready point may be a script.
  if (!how.to_ready_point && asks_for_images_) {
    asks_for_images_ = start.use_image(how.path, how.env);
  }
  const auto chain = start.chain(how.path, how.argv, null_fd_.get(), table_fd_.get(), theirs.get());
  entry.task = std::make_unique<cold::HostTask>();
  const pid_t pid = entry.task->start(chain, ParkedStart::kDescriptorsKept);
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
  bool moved = true;
  for (std::size_t i = 0; i < count; ++i) {
    entry.slot_sockets.push_back(os::move_above(os::Fd(fds[i]), options_.descriptor_floor));
    moved = moved && entry.slot_sockets.back().valid();
  }
  return moved && count == kSlotsPerProgram && (message.msg_flags & MSG_CTRUNC) == 0;
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
    switch (r.kind) {
      case ManifestKind::file:
        // Changed while it was being linked: nobody can say which of the two was mapped.
        if (r.identity.changed_ns >= entry.parked_at_ns) return false;
        // What a program finds on the way to its ready point it has found for all its launches.
        if (is_library(text) && entry.ready_argv.empty() &&
            (has_own_search_path(text.c_str()) || may_be_unmounted(text.c_str()))) {
          return false;
        }
        entry.files.push_back({std::move(text), r.identity, true});
        break;
      case ManifestKind::missing:
        entry.files.push_back({std::move(text), {}, false});
        break;
      case ManifestKind::variable: {
        const auto equals = text.find('=');
        const bool set = equals != std::string::npos;
        entry.variables.push_back(
            {text.substr(0, equals), set ? text.substr(equals + 1) : std::string(), set});
        break;
      }
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
  entry.task.reset();
  if ((program.clonable.load() != 0 && !receive_sockets(entry)) || !read_manifest(index)) {
    retire(index);
    return Reason::file_changed;
  }
  entry.opened = true;
  return Reason::none;
}

// What was parked of it is of no use any more, and goes. What was claimed or runs is not touched.
void Pool::retire(unsigned index) {
  entries_[index].stale = true;
  if (!is_owner()) return;
  Program& program = table_->programs[index];
  // The zygote first: it makes up for what goes.
  const SlotState self = state_of(program.self_state);
  if (!awaits_request(self) && self != SlotState::running) {
    revoke({index, -1, program.pid.load(), 0});
  }
  for (unsigned k = 0; k < kSlotsPerProgram; ++k) {
    Slot& slot = program.slots[k];
    if (!advance(slot.state, SlotState::idle, SlotState::claimed)) continue;
    revoke({index, static_cast<int>(k), slot.pid.load(), 0});
  }
  // One that is just being made finds nobody at the other end.
  entries_[index].control.reset();
  entries_[index].slot_sockets.clear();
}

void Pool::take_over_parked() {
  for (unsigned i = 0; i < program_count_; ++i) {
    if (!entries_[i].opened) open_program(i);
  }
}

bool Pool::wait_parked(unsigned index, int wait_ms) {
  Program& program = table_->programs[index];
  const std::int64_t deadline = os::now_ns() + wait_ms * os::kNsPerMs;
  while (state_of_program(program) == ProgramState::starting) {
    const std::int64_t left = deadline - os::now_ns();
    if (left <= 0) return false;
    os::futex_wait_for(program.state, static_cast<std::uint32_t>(ProgramState::starting), left);
  }
  return true;
}

// No zygote is left: what was being made ends by itself, what was claimed but not taken never runs.
void Pool::end_unreleased(Slot& slot) {
  for (int i = 0; i < 100 && state_of(slot.state) == SlotState::parking; ++i) {
    if (slot.pid.load() == 0) break;
    os::futex_wait_for(slot.state, value(SlotState::parking), os::kNsPerMs);
  }
  advance(slot.state, SlotState::claimed, SlotState::empty);
  advance(slot.state, SlotState::granted, SlotState::empty);
  advance(slot.state, SlotState::parking, SlotState::empty);
}

void Pool::shut_down() {
  for (unsigned i = 0; i < program_count_; ++i) {
    Entry& entry = entries_[i];
    entry.control.reset();
    entry.slot_sockets.clear();
  }
  // All are told before the first is waited for: they end side by side.
  std::vector<pid_t> ending;
  const auto end = [&ending](std::atomic<std::int32_t>& pid) {
    const pid_t p = pid.exchange(0);
    siginfo_t info{};
    // Only if it is a child of ours.
    if (p <= 0 || ::waitid(P_PID, static_cast<id_t>(p), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
      return;
    }
    ::kill(p, SIGKILL);
    ending.push_back(p);
  };
  for (unsigned i = 0; i < program_count_; ++i) {
    Program& program = table_->programs[i];
    if (state_of_program(program) == ProgramState::vacant) continue;
    if (state_of(program.self_state) != SlotState::running) end(program.pid);
    for (Slot& slot : program.slots) {
      end_unreleased(slot);
      const SlotState s = state_of(slot.state);
      if (s == SlotState::empty || s == SlotState::idle) end(slot.pid);
    }
    program.state.store(static_cast<std::uint32_t>(ProgramState::gone));
  }
  for (const pid_t p : ending) {
    while (::waitpid(p, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

bool Pool::has_running() const {
  for (unsigned i = 0; i < program_count_; ++i) {
    for (const Slot& slot : table_->programs[i].slots) {
      if (state_of(slot.state) == SlotState::running) return true;
    }
  }
  return false;
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
  mounts_.reset();
  program_count_ = 0;
}

}  // namespace prewarm::park
