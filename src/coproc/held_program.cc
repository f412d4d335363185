// SPDX-License-Identifier: MIT
#include "coproc/held_program.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "os/clock.h"

namespace prewarm::coproc {
namespace {

using launch::Reason;
using park::Claim;
using park::SlotKind;

constexpr unsigned kIdleCopies = 2;
constexpr int kCopyMs = 20;  // a copy that is being made is ready by then, or the next time
constexpr unsigned kMostAttempts = 4;  // of one launch, with copies that died before they took it
constexpr unsigned kMostChangedStarts = 3;
constexpr unsigned kOftenOther = 2;                  // environments that don't fit, in a row
constexpr std::int64_t kPauseNs = os::kNsPerSecond;  // before what was refused is tried again

// The strings' own memory, for functions that take what execve takes.
std::vector<char*> row_of(const std::vector<std::string>& strings) {
  std::vector<char*> row;
  row.reserve(strings.size() + 1);
  for (const auto& s : strings) row.push_back(const_cast<char*>(s.c_str()));
  row.push_back(nullptr);
  return row;
}

mode_t current_umask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

HeldProgram::Launched refused(std::string why) {
  return {.refusal = Outcome::not_run("refused", std::move(why))};
}

}  // namespace

HeldProgram::HeldProgram(ReadyCommand command, std::string agent,
                         std::vector<std::string> environment, Signals signals)
    : command_(std::move(command)),
      agent_(std::move(agent)),
      environment_(std::move(environment)),
      signals_(signals),
      umask_(current_umask()) {}

void HeldProgram::start() {
  pool_.reset();
  started_at_ns_ = os::now_ns();
  state_ = State::starting;
  park::PoolOptions options;
  options.agent_path = agent_;
  auto made = park::Pool::create(std::move(options));
  if (!made) return refuse(made.error().code == 0 ? Reason::agent_missing : Reason::system_refused);
  pool_ = std::move(*made);
  const auto argv = row_of(command_.words);
  const auto env = row_of(environment_);
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

HeldProgram::Launched HeldProgram::refuse_environment(Reason reason,
                                                      const std::vector<std::string>& environment) {
  // Those who call are not in the environment that it was started in: then let it be theirs.
  if (reason == Reason::variable_changed && ++other_environments_ >= kOftenOther) {
    other_environments_ = 0;
    environment_ = environment;
    start();
  }
  return refused(launch::reason_text(reason));
}

// Whether a start in the invocation's environment would find the same program by PATH.
bool HeldProgram::leads_here(const Invocation& invocation) const {
  const char* path = invocation.variable("PATH");
  const std::string wanted = path == nullptr ? kUsualPath : path;
  if (wanted == command_.path) return true;
  const auto found = resolve_ready_command(command_.command, wanted.c_str(), {});
  return found && found->program == command_.program && found->start == command_.start;
}

HeldProgram::Launched HeldProgram::launch(const Invocation& invocation, const Streams& streams) {
  if (state() == State::refused) {
    if (os::now_ns() - started_at_ns_ < kPauseNs) return refused(launch::reason_text(reason_));
    start();
  }
  if (state_ != State::held) return {.later = true};
  const auto env = row_of(invocation.environment);
  Reason fits = pool_->check_environment(program_, env.data());
  if (fits == Reason::none && !leads_here(invocation)) fits = Reason::variable_changed;
  if (fits != Reason::none) return refuse_environment(fits, invocation.environment);
  other_environments_ = 0;
  const os::Fd directory(::open(invocation.directory->c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || ::faccessat(directory.get(), ".", X_OK, 0) != 0) {
    return {.refusal = Outcome::not_run("cwd", *invocation.directory + ": " + ::strerror(errno))};
  }
  const auto arguments = command_.with(invocation.arguments);
  const auto argv = row_of(arguments);
  const launch::Descriptor descriptors[] = {
      {streams[0].get(), 0}, {streams[1].get(), 1}, {streams[2].get(), 2}};
  launch::LaunchRequest request;
  request.path = command_.program.c_str();
  request.argv = argv.data();
  request.env = env.data();
  request.descriptors = descriptors;
  request.cwd = directory.get();
  request.umask = invocation.umask.value_or(umask_);
  request.signal_mask = signals_.mask;
  request.signal_ignored = signals_.ignored;
  request.process_group = 0;
  for (unsigned i = 0; i < kMostAttempts; ++i) {
    if (auto launched = send(request)) return std::move(*launched);
  }
  return refused("its copies died before they could take the request");
}

// Nothing: the copy died before it took the request, so nothing has run.
std::optional<HeldProgram::Launched> HeldProgram::send(const launch::LaunchRequest& request) {
  const auto claim = pool_->claim(program_, SlotKind::direct, kCopyMs);
  if (!claim) {
    if (claim.error() == Reason::died) start();
    return Launched{.later = true};
  }
  if (!launch::write_request(request, claim->generation, wire_)) {
    pool_->give_back(*claim);
    return refused(launch::reason_text(Reason::request_too_large));
  }
  const int sources[] = {request.descriptors[0].source, request.descriptors[1].source,
                         request.descriptors[2].source, request.cwd};
  // The copy makes itself ready while we look at the files.
  if (!pool_->send_ahead(*claim, wire_, sources)) return {};
  if (pool_->check_files(program_) != Reason::none) {
    pool_->revoke(*claim);
    start();
    return Launched{.later = true};
  }
  if (!pool_->grant(*claim) || !pool_->wait_taken(*claim)) return {};
  pool_->detach(*claim);
  pool_->refill(program_);
  return Launched{.pid = claim->pid};
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
