// SPDX-License-Identifier: MIT
#include "coproc/held_program.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "launch/exec_cold.h"
#include "os/argv.h"
#include "os/clock.h"
#include "os/self.h"

namespace prewarm::coproc {
namespace {

using launch::Reason;
using park::SlotKind;

constexpr unsigned kIdleCopies = 2;
constexpr int kCopyMs = 20;  // a copy that is being made is ready by then, or the next time
constexpr unsigned kMostAttempts = 4;  // of one launch, with copies that died before they took it
constexpr unsigned kMostChangedStarts = 3;
constexpr unsigned kMostUnusedStarts = 4;
constexpr unsigned kMostWithoutCopy =
    50;                              // waits of kCopyMs in a row: they die before they are ready
constexpr unsigned kOftenOther = 2;  // environments that don't fit, in a row
constexpr std::int64_t kPauseNs = os::kNsPerSecond;  // before what was refused is tried again

HeldProgram::Launched too_large() {
  return {.refusal = Outcome::not_run("refused", launch::reason_text(Reason::request_too_large))};
}

const char* path_of(const Invocation& invocation) {
  const char* path = invocation.variable("PATH");
  return path == nullptr ? kUsualPath : path;
}

std::array<int, 4> sources_of(const launch::LaunchRequest& request) {
  return {request.descriptors[0].source, request.descriptors[1].source,
          request.descriptors[2].source, request.cwd};
}

}  // namespace

HeldProgram::HeldProgram(ReadyCommand command, std::string agent,
                         std::vector<std::string> environment, Signals signals)
    : command_(std::move(command)),
      agent_(std::move(agent)),
      environment_(std::move(environment)),
      signals_(signals),
      umask_(os::current_umask()) {}

void HeldProgram::start() {
  pool_.reset();
  started_at_ns_ = os::now_ns();
  ++unused_starts_;
  state_ = State::starting;
  park::PoolOptions options;
  options.agent_path = agent_;
  auto made = park::Pool::create(std::move(options));
  if (!made) return refuse(made.error().code == 0 ? Reason::agent_missing : Reason::system_refused);
  pool_ = std::move(*made);
  const auto argv = os::pointers(command_.words);
  const auto env = os::pointers(environment_);
  const auto parked = pool_->park_ready(command_.program.c_str(), command_.start.c_str(),
                                        argv.data(), env.data(), kIdleCopies);
  if (!parked) return refuse(parked.error());
  program_ = *parked;
}

void HeldProgram::refuse(Reason reason) {
  state_ = State::refused;
  reason_ = reason;
  pool_.reset();
}

HeldProgram::State HeldProgram::state() {
  if (state_ != State::starting) return state_;
  const auto now = static_cast<park::ProgramState>(pool_->table().programs[program_].state.load());
  if (now == park::ProgramState::parked) open();
  if (now == park::ProgramState::gone) refuse(Reason::died);
  if (now == park::ProgramState::refused) {
    refuse(static_cast<Reason>(pool_->table().programs[program_].reason.load()));
  }
  return state_;
}

void HeldProgram::open() {
  pool_->take_over_parked();
  if (pool_->was_opened(program_)) {
    state_ = State::held;
    changed_starts_ = 0;
  } else if (++changed_starts_ < kMostChangedStarts) {
    start();  // a file has changed while it was being loaded
  } else {
    refuse(Reason::file_changed);
  }
}

void HeldProgram::wait(int wait_ms) {
  if (state() == State::starting) pool_->wait_parked(program_, wait_ms);
}

// Whether a start in the invocation's environment would find the same program by PATH.
bool HeldProgram::leads_here(const Invocation& invocation) const {
  const char* path = path_of(invocation);
  if (command_.path == path) return true;
  const auto found = resolve_ready_command(command_.command, path, command_.keep);
  return found && found->program == command_.program && found->start == command_.start;
}

// Whether a start in this environment would come to the same ready point.
bool HeldProgram::fits(const Invocation& invocation, char* const* env) {
  const Reason reason = pool_->check_environment(program_, env);
  if (reason == Reason::none && leads_here(invocation)) {
    other_environments_ = 0;
    return true;
  }
  // Those who call are not in the environment that it was started in: then let it be theirs.
  if (reason == Reason::variable_changed && ++other_environments_ >= kOftenOther) {
    other_environments_ = 0;
    environment_ = invocation.environment;
    start();
  }
  return false;
}

HeldProgram::Launched HeldProgram::launch(const Invocation& invocation, const Streams& streams) {
  if (state() == State::refused && os::now_ns() - started_at_ns_ >= kPauseNs) start();
  // What ends again and again, without having served, isn't waited for.
  if (state_ == State::starting && unused_starts_ <= kMostUnusedStarts) return {.later = true};
  const os::Fd directory(::open(invocation.directory->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::faccessat(directory.get(), ".", X_OK, 0) != 0) {
    return {.refusal = Outcome::not_run("cwd", *invocation.directory + ": " + ::strerror(errno))};
  }
  const auto env = os::pointers(invocation.environment);
  const launch::Descriptor descriptors[] = {
      {streams[0].get(), 0}, {streams[1].get(), 1}, {streams[2].get(), 2}};
  launch::LaunchRequest request;
  request.env = env.data();
  request.descriptors = descriptors;
  request.cwd = directory.get();
  request.umask = invocation.umask.value_or(umask_);
  request.signal_mask = signals_.mask;
  request.signal_ignored = signals_.ignored;
  request.process_group = 0;
  if (state_ != State::held || !fits(invocation, env.data())) return cold(invocation, request);
  const auto arguments = command_.with(invocation.arguments);
  const auto argv = os::pointers(arguments);
  request.path = command_.program.c_str();
  request.argv = argv.data();
  request.first_argument = static_cast<std::uint32_t>(command_.kept);
  for (unsigned i = 0; i < kMostAttempts; ++i) {
    if (auto launched = warm(request)) return std::move(*launched);
  }
  return cold(invocation, request);
}

// Nothing: the copy died before it took the request, so nothing has run.
std::optional<HeldProgram::Launched> HeldProgram::warm(const launch::LaunchRequest& request) {
  const auto claim = pool_->claim(program_, SlotKind::direct, kCopyMs);
  if (!claim) {
    if (claim.error() == Reason::died) start();
    if (claim.error() == Reason::pool_busy && ++without_copy_ > kMostWithoutCopy) return {};
    return Launched{.later = true};
  }
  if (!launch::write_request(request, claim->generation, wire_)) {
    pool_->give_back(*claim);
    return too_large();
  }
  const auto sources = sources_of(request);
  // The copy makes itself ready while we look at the files.
  if (!pool_->send_ahead(*claim, wire_, sources)) return {};
  if (pool_->check_files(program_) != Reason::none) {
    pool_->revoke(*claim);
    start();
    return Launched{.later = true};
  }
  if (!pool_->grant(*claim) || !pool_->wait_taken(*claim)) return {};
  pool_->detach(*claim);
  unused_starts_ = 0;
  without_copy_ = 0;
  pool_->refill(program_);
  return Launched{.pid = claim->pid};
}

// A batch run, from here: the same request, by fork and exec.
HeldProgram::Launched HeldProgram::cold(const Invocation& invocation,
                                        launch::LaunchRequest& request) {
  const auto found = resolve_ready_command(command_.command, path_of(invocation), command_.keep);
  if (!found) return {.refusal = Outcome::not_run("refused", found.error().message())};
  const auto arguments = found->to_start(invocation.arguments);
  const auto argv = os::pointers(arguments);
  request.path = found->start.c_str();
  request.argv = argv.data();
  launch::RequestView view;
  if (!launch::write_request(request, 0, wire_) ||
      !launch::parse_request(wire_.data(), wire_.size(), view)) {
    return too_large();
  }
  const auto sources = sources_of(request);
  const pid_t pid = ::fork();
  if (pid == 0) launch::exec_cold(request.path, view, sources);
  if (pid < 0) return {.refusal = Outcome::not_run("refused", ::strerror(errno))};
  ::setpgid(pid, pid);  // whoever comes first: signals go to the group
  return {.pid = pid};
}

std::optional<HeldProgram::Ended> HeldProgram::reap() {
  for (;;) {
    Ended ended{};
    ended.pid = ::wait4(-1, &ended.status, WNOHANG, &ended.usage);
    if (ended.pid <= 0) return {};
    if (pool_ == nullptr || pool_->note_ended(ended.pid, ended.status) == park::Ended::not_ours) {
      return ended;
    }
  }
}

}  // namespace prewarm::coproc
