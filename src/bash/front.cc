// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/front.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "bash/limits.h"
#include "bash/report.h"
#include "os/clock.h"

namespace prewarm::bash {

using launch::Reason;

namespace {

// Idle clones that a program gets at first; its misses raise it.
constexpr unsigned kFirstClones = 2;
constexpr unsigned kOftenInSubshell = 8;

int descriptor_floor() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto top = std::min<rlim_t>(limit.rlim_cur, 1024);
  return static_cast<int>(top / 2);
}

// As long as this lives, a file that grows beyond RLIMIT_FSIZE is an error and no signal: the end
// of a script must not be by what we write.
class FileSizeSignalIgnored {
 public:
  FileSizeSignalIgnored() {
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGXFSZ, &ignore, &before_);
  }
  ~FileSizeSignalIgnored() { ::sigaction(SIGXFSZ, &before_, nullptr); }
  FileSizeSignalIgnored(const FileSizeSignalIgnored&) = delete;
  FileSizeSignalIgnored& operator=(const FileSizeSignalIgnored&) = delete;

 private:
  struct sigaction before_;
};

void write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n <= 0) return;
    done += static_cast<std::size_t>(n);
  }
}

}  // namespace

Front& front() {
  static Front* instance = new Front;  // never destroyed: bash may fork and exit at any time
  return *instance;
}

namespace {

// Beside the agent. Empty: it isn't there.
std::string find_restorer(const std::string& agent) {
  std::string path = agent.substr(0, agent.rfind('/') + 1) + "libprewarm-restore.so";
  return ::access(path.c_str(), R_OK) == 0 ? path : std::string();
}

}  // namespace

std::string find_agent(const std::string& configured) {
  if (!configured.empty()) return configured;
  Dl_info info;
  if (::dladdr(reinterpret_cast<void*>(&find_agent), &info) != 0 && info.dli_fname != nullptr) {
    char* real = ::realpath(info.dli_fname, nullptr);
    std::string here = real == nullptr ? info.dli_fname : real;
    std::free(real);
    here.resize(here.rfind('/') == std::string::npos ? 0 : here.rfind('/') + 1);
    for (const char* name : {"libprewarm-agent.so", "../prewarm/libprewarm-agent.so"}) {
      const std::string candidate = here + name;
      if (::access(candidate.c_str(), R_OK) == 0) return candidate;
    }
  }
  return "/usr/lib/prewarm/libprewarm-agent.so";
}

void Front::start(const launch::Settings& settings) {
  settings_ = settings;
  restorer_ = find_restorer(find_agent(settings_.agent_path));
  self_ = ::getpid();
  living_ = js.c_living;
  ignored_at_start_ = ignored_now();
  coprocesses_ = declared_by(settings_);
  if (!coprocesses_.commands.empty()) {
    start_limits_ = StartLimits::now();
    start_descriptors_.note();
  }
  prepared_ = true;
}

void Front::enable(bool on) {
  if (enabled_ == on) return;
  enabled_ = on;
  if (on) return;
  drop_pool();
  spent_.clear();
}

bool Front::prepare_pool() {
  if (pool_ != nullptr) return true;
  if (parking_refused_) return false;
  no_pool_ = make_pool();
  parking_refused_ = no_pool_ != Reason::none;
  return !parking_refused_;
}

Reason Front::make_pool() {
  if (settings_.max_warm == 0) return Reason::warming_disabled;
  if (!limits_allow_parking()) return Reason::no_room;
  floor_ = descriptor_floor();
  if (!has_descriptors_left()) return Reason::no_room;
  descriptors.start();
  park::PoolOptions options;
  options.agent_path = find_agent(settings_.agent_path);
  options.restorer_path = restorer_;
  options.max_warm = settings_.max_warm;
  options.descriptor_floor = floor_;
  if (const char* more = std::getenv("PREWARM_PARK_DIRS")) options.more_directories = more;
  auto pool = park::Pool::create(std::move(options));
  if (!pool) return pool.error().code == 0 ? Reason::agent_missing : Reason::system_refused;
  if (!inherited_.snapshot(floor_)) return Reason::system_refused;
  pool_ = std::move(*pool);
  return Reason::none;
}

// Whether most numbers from the floor on are free: numbers are given from the lowest on.
bool Front::has_descriptors_left() {
  if (cwd_fd() >= 0 && cwd_.get() < floor_ + floor_ / 2) return true;
  cwd_.reset();
  return false;
}

void Front::drop_pool() {
  if (pool_ == nullptr) return;
  // What runs goes on; what was not taken yet must not wait for a process that is about to end.
  for (Pending& p : pendings_) {
    if (!p.active || p.pool != pool_.get() || p.ahead) continue;
    while (p.pool != nullptr && !p.pool->wait_taken(p.claim)) {
      if (!spawn_cold(p)) break;
    }
    p.pool = nullptr;
  }
  pool_->shut_down();
  // A subshell may still wait to be told how a launch of its ends.
  if (pool_->has_running()) retired_.push_back(std::move(pool_));
  pool_.reset();
}

// What holds for the shell as a whole, whatever the command.
Reason Front::check_shell() const {
  if (job_control != 0) return Reason::job_control;
  if (interactive_shell != 0 || restricted != 0 || privileged_mode != 0) return Reason::restricted;
  if (attributes_uncertain) return Reason::shell_attributes;
  return Reason::none;
}

bool Front::shell_may_launch() {
  if (enabled_ && !tally_.created()) tally_.create();
  return enabled_ && in_make_child && (make_child_flags & FORK_ASYNC) == 0 &&
         check_shell() == Reason::none;
}

void Front::count(const char* path, Rung rung, Reason reason) {
  const bool forked_for_it = forked_for_ != nullptr && frame.command == forked_for_;
  tally_.count(path, rung, reason, !subshell_ || forked_for_it);
}

// bash forks after all. The child may still be served by a brokered launch, or says at its exec
// that this was the reason.
pid_t Front::cold(const char* path, Reason reason) {
  fork_reason_ = reason;
  // How long a coprocess takes says nothing of cold launches.
  if (reason == Reason::coprocess) return 0;
  timed_.path = path;
  timed_.pid = 0;
  timed_.start_ns = os::now_ns();
  if (reason == nothing_parked() || reason == Reason::file_changed || reason == Reason::died) {
    consider_parking(path);
  }
  return 0;
}

// Why there is no parked process of a program that nothing speaks against.
Reason Front::nothing_parked() const {
  return no_pool_ != Reason::none ? no_pool_ : Reason::not_parked_yet;
}

// A command that this process has called twice will be called more often: park it in the
// background.
void Front::consider_parking(const char* path) {
  const auto same = [path](const auto& call) { return call.first == path; };
  auto call = std::find_if(local_calls_.begin(), local_calls_.end(), same);
  if (call == local_calls_.end()) call = local_calls_.insert(call, {path, 0});
  // A subshell is soon over, and is served by the shell's processes where that is exact.
  const unsigned often = subshell_ ? kOftenInSubshell : kCallsToPark;
  if (++call->second < often || refusal(path) != Reason::none || !prepare_pool()) return;
  if (pool_->find(path) >= 0) return;
  maybe_make_export_env();
  park(path, export_env, kFirstClones);
}

// What isn't cloned is gone with its launch: the next one is parked while that runs. Where the
// shell is about to sleep, or is between two commands; not in a signal handler.
void Front::replace_spent() {
  while (!spent_.empty()) {
    const std::string path = std::move(spent_.back());
    spent_.pop_back();
    consider_parking(path.c_str());
  }
}

// A pid above all that the kernel gives (PID_MAX_LIMIT is 2^22), for bash to know a launch by that
// is no child of this process.
pid_t Front::invent_pid() {
  constexpr pid_t kFirst = 1 << 23;
  return kFirst + static_cast<pid_t>(invented_++ % kFirst);
}

Reason Front::refusal(const char* path) const {
  for (const auto& [refused, reason] : refusals_) {
    if (refused == path) return reason;
  }
  return Reason::none;
}

int Front::cwd_fd() {
  // Without a pool there is no floor yet, and below it the script would meet our descriptor.
  if (floor_ == 0) return -1;
  if (!cwd_.valid()) {
    cwd_ = os::move_above(os::Fd(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC)), floor_);
    cwd_is_shut_ = ::faccessat(cwd_.get(), "", X_OK, AT_EACCESS | AT_EMPTY_PATH) != 0;
  }
  return cwd_.get();
}

// The script takes `fd` for its own: where ours are, or may be, it would meet them.
void Front::keep_off(int fd) {
  if (floor_ != 0 && fd >= floor_) give_up();
}

// No descriptor stays ours, and nothing is parked any more.
void Front::give_up() {
  drop_pool();
  parking_refused_ = true;
  no_pool_ = Reason::no_room;
  retired_.clear();
  if (upstream_ != nullptr) upstream_->abandon();
  upstream_.reset();
  cwd_.reset();
  inherited_ = {};
  upstream_inherited_ = {};
}

bool Front::descriptors_failed(int error) {
  if ((error != EMFILE && error != ENFILE) || (pool_ == nullptr && upstream_ == nullptr)) {
    return false;
  }
  give_up();
  return true;
}

bool Front::owns_descriptor(int fd) const {
  if (floor_ == 0 || fd < floor_) return false;
  const auto owns = [fd](const auto& pool) { return pool != nullptr && pool->owns_descriptor(fd); };
  if (owns(pool_) || owns(upstream_) || std::any_of(retired_.begin(), retired_.end(), owns)) {
    return true;
  }
  for (const Pending& p : pendings_) {
    if (p.active && std::find(p.owned.begin(), p.owned.end(), fd) != p.owned.end()) return true;
  }
  return fd == cwd_.get() || inherited_.owns_descriptor(fd) ||
         upstream_inherited_.owns_descriptor(fd);
}

bool Front::fork_failed(int error) {
  const bool looks = !subshell_ && look_.pid() > 0 && !look_ended_;
  if ((error != EAGAIN && error != ENOMEM) || (pool_ == nullptr && !looks)) return false;
  parking_refused_ = true;
  no_pool_ = Reason::no_room;
  looking_ = false;
  if (looks) end_look();
  drop_pool();
  return true;
}

void Front::after_fork_in_child(bool async) {
  self_ = ::getpid();
  forked_for_ = subshell_ ? nullptr : frame.command;
  subshell_ = true;
  async_ancestor_ = async_ancestor_ || async;
  living_ = 0;
  for (Pending& p : pendings_) {
    if (p.active) drop_owned(p);
    p.watch.reset();
    p.active = false;
  }
  substitution = {};
  local_calls_.clear();
  spent_.clear();
  ahead_ = false;
  finished_.clear();
  hidden_statuses_.clear();
  if (pool_ != nullptr) {
    if (upstream_ != nullptr) upstream_->abandon();
    upstream_ = std::move(pool_);
    upstream_inherited_ = std::move(inherited_);
  }
  for (auto& pool : retired_) pool->abandon();
  retired_.clear();
  parking_refused_ = false;  // but no_pool_ stays true until somebody tries
}

void Front::after_fork_in_parent(pid_t pid) {
  ++living_;
  if (timed_.pid == 0) timed_.pid = pid;
}

void Front::before_fork() {
  if (pool_ != nullptr) pool_->take_over_parked();
}

// The shell itself becomes another program, or ends: nothing warm may outlive it.
void Front::before_exec() { at_exit(); }

void Front::at_exit() {
  if (self_ != ::getpid()) return;
  drop_pool();
  if (upstream_ != nullptr || subshell_ || reported_) return;
  reported_ = true;
  end_look();
  const FileSizeSignalIgnored ignored;
  remember();
  if (settings_.stats) write_all(2, stats_table(tally_));
  if (!settings_.stats_json.empty()) {
    const os::Fd fd(
        ::open(settings_.stats_json.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd.valid()) write_all(fd.get(), stats_json(tally_));
  }
}

}  // namespace prewarm::bash
