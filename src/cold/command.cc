// SPDX-License-Identifier: MIT
#include "prewarm/command.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "cold/command_chain.h"
#include "cold/command_description.h"
#include "cold/left_children.h"
#include "cold/plan.h"
#include "cold/wait_child.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm {
namespace {

constexpr const char* kStreamNames[] = {"in", "out", "err"};

bool has_nul(std::string_view text) { return text.contains('\0'); }

// Kept is the first: it names what the caller has to look at.
void note_mistake(cold::CommandDescription& d, const char* what, std::string subject) {
  if (!d.mistake) d.mistake = Error{what, std::move(subject), EINVAL};
}

struct Pipes {
  std::array<Fd, 3> ours;
  std::array<Fd, 3> theirs;
};

// All ends get numbers that no standard stream has: a caller may have those closed, and they would
// pass for its own.
Result<void> make_pipe(Fd& read, Fd& write) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return os::failed("make a pipe");
  read = os::move_above(Fd(ends[0]), 3);
  write = os::move_above(Fd(ends[1]), 3);
  if (!read.valid() || !write.valid()) return os::failed("make a pipe");
  return {};
}

Result<Pipes> make_pipes(const cold::CommandDescription& d) {
  Pipes pipes;
  for (std::size_t i = 0; i < 3; ++i) {
    if (!d.streams[i] || d.streams[i]->kind() != Stdio::Kind::pipe) continue;
    const auto made = i == 0 ? make_pipe(pipes.theirs[i], pipes.ours[i])
                             : make_pipe(pipes.ours[i], pipes.theirs[i]);
    if (!made) return std::unexpected(made.error());
  }
  return pipes;
}

struct Started {
  pid_t pid = -1;
  Fd pidfd;
  std::vector<int> results;
};

// One chain by a ring that waits for it: nobody but this thread does, and nothing is under way
// afterwards.
Result<Started> start_chain(const cold::CommandChain& chain) {
  const auto operations = chain.operations();
  RingOptions options;
  options.entries = static_cast<unsigned>(operations.size());
  options.backend = Backend::vfork;
  options.own_task = false;
  auto ring = SpawnRing::create(options);
  if (!ring && ring.error().code == ENOTSUP) {
    options.backend = Backend::automatic;
    ring = SpawnRing::create(options);
  }
  if (!ring) return std::unexpected(ring.error());
  for (const Operation& operation : operations) {
    if (!ring->push(operation)) return os::failed_with(E2BIG, "start a chain");
  }
  if (const auto submitted = ring->submit(); !submitted) {
    return std::unexpected(submitted.error());
  }

  Started started;
  started.results.assign(operations.size(), -ECANCELED);
  std::vector<Completion> completions(operations.size());
  for (std::size_t seen = 0; seen < operations.size();) {
    const auto count = ring->wait(completions);
    if (!count && count.error().code == EINTR) continue;
    if (!count) return std::unexpected(count.error());
    if (*count == 0) break;
    for (Completion& c : std::span(completions).first(*count)) {
      started.results[c.user_data] = c.result;
      if (c.code != OperationCode::clone || c.result < 0) continue;
      started.pid = c.result;
      started.pidfd = std::move(c.pidfd);
      started.results[c.user_data] = 0;
    }
    seen += *count;
  }
  return started;
}

}  // namespace

Stdio Stdio::file(std::string path, int flags, mode_t mode) {
  Stdio stream(Kind::file);
  stream.path_ = std::move(path);
  stream.flags_ = flags;
  stream.mode_ = mode;
  return stream;
}

Stdio Stdio::read(std::string path) { return file(std::move(path), O_RDONLY); }

Stdio Stdio::write(std::string path, mode_t mode) {
  return file(std::move(path), O_WRONLY | O_CREAT | O_TRUNC, mode);
}

Stdio Stdio::append(std::string path, mode_t mode) {
  return file(std::move(path), O_WRONLY | O_CREAT | O_APPEND, mode);
}

Stdio Stdio::descriptor(int fd) {
  Stdio stream(Kind::descriptor);
  stream.fd_ = fd;
  return stream;
}

Command::Command(std::string program) : description_(new cold::CommandDescription) {
  if (has_nul(program)) note_mistake(*description_, "command", program);
  description_->program = std::move(program);
}

Command::Command(const Command& other)
    : description_(new cold::CommandDescription(*other.description_)) {}

Command& Command::operator=(const Command& other) {
  description_ = std::make_unique<cold::CommandDescription>(*other.description_);
  return *this;
}

Command::Command(Command&& other) noexcept = default;
Command& Command::operator=(Command&& other) noexcept = default;
Command::~Command() = default;

Command& Command::arg(std::string argument) {
  if (has_nul(argument)) note_mistake(*description_, "arg", argument);
  description_->arguments.push_back(std::move(argument));
  return *this;
}

Command& Command::args(std::initializer_list<std::string_view> arguments) {
  for (const std::string_view argument : arguments) arg(std::string(argument));
  return *this;
}

Command& Command::argv0(std::string name) {
  if (has_nul(name)) note_mistake(*description_, "argv0", name);
  description_->argv0 = std::move(name);
  return *this;
}

Command& Command::env(std::string name, std::string value) {
  if (name.empty() || name.contains('=') || has_nul(name) || has_nul(value)) {
    note_mistake(*description_, "env", name);
  }
  description_->variables.insert_or_assign(std::move(name), std::move(value));
  return *this;
}

Command& Command::unset_env(std::string name) {
  description_->variables.insert_or_assign(std::move(name), std::nullopt);
  return *this;
}

Command& Command::clear_env() {
  description_->clean_environment = true;
  description_->variables.clear();
  return *this;
}

Command& Command::set_stream(int number, Stdio stream) {
  const bool bad = (stream.kind() == Stdio::Kind::output && number != 2) ||
                   (stream.kind() == Stdio::Kind::descriptor && stream.fd() < 0) ||
                   has_nul(stream.path());
  if (bad) note_mistake(*description_, kStreamNames[number], stream.path());
  description_->streams[static_cast<std::size_t>(number)] = std::move(stream);
  return *this;
}

Command& Command::in(Stdio stream) { return set_stream(0, std::move(stream)); }
Command& Command::out(Stdio stream) { return set_stream(1, std::move(stream)); }
Command& Command::err(Stdio stream) { return set_stream(2, std::move(stream)); }

Command& Command::inherit(int source, int target) {
  const auto same = [target](const Inherited& i) { return i.target == target; };
  if (source < 0 || target < 3 || std::ranges::any_of(description_->inherited, same)) {
    note_mistake(*description_, "inherit", std::to_string(source));
  }
  description_->inherited.push_back({source, target});
  return *this;
}

Command& Command::directory(std::string path) {
  if (path.empty() || has_nul(path)) note_mistake(*description_, "directory", path);
  description_->directory = std::move(path);
  return *this;
}

Command& Command::signals(Signals how) {
  description_->signals = how;
  return *this;
}

Command& Command::setup(const Operation& operation) {
  switch (operation.code) {
    case OperationCode::clone:
    case OperationCode::exec:
    case OperationCode::exec_fd:
      note_mistake(*description_, "setup", cold::operation_name(operation.code));
      break;
    default:
      description_->setup.push_back(operation);
  }
  return *this;
}

Command& Command::limit(int resource, rlim_t soft, rlim_t hard) {
  return setup(op::limit(resource, {soft, hard}));
}

Command& Command::namespaces(int flags) {
  description_->namespaces = flags;
  return *this;
}

Command& Command::cgroup(int directory) {
  description_->cgroup = directory;
  return *this;
}

Command& Command::timeout(std::optional<std::chrono::milliseconds> time) {
  description_->timeout = time;
  return *this;
}

Command& Command::kill_on_drop(bool yes) {
  description_->kill_on_drop = yes;
  return *this;
}

Command& Command::kill_group() {
  description_->kill_group = true;
  return process_group();
}

Result<Process> Command::spawn() const {
  const auto& d = *description_;
  if (d.mistake) return std::unexpected(*d.mistake);
  cold::reap_left_children();

  cold::CommandContext context{.environment = environ};
  for (int i = 0; i < 3; ++i) context.open[i] = ::fcntl(i, F_GETFD) >= 0;
  auto pipes = make_pipes(d);
  if (!pipes) return std::unexpected(pipes.error());
  for (std::size_t i = 0; i < 3; ++i) context.pipe_ends[i] = pipes->theirs[i].get();

  const cold::CommandChain chain(d, context);
  auto started = start_chain(chain);
  if (!started) return std::unexpected(started.error());
  if (const auto error = chain.error(started->results)) {
    cold::ChildEnd ignored;
    if (started->pid > 0) cold::wait_child(started->pid, started->pidfd, true, ignored);
    return std::unexpected(*error);
  }

  Process process(started->pid, std::move(started->pidfd));
  process.in_ = std::move(pipes->ours[0]);
  process.out_ = std::move(pipes->ours[1]);
  process.err_ = std::move(pipes->ours[2]);
  process.set_kill_on_drop(d.kill_on_drop);
  process.set_kill_group(d.kill_group);
  return process;
}

Result<Exit> Command::run() const {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& stream = description_->streams[i];
    if (stream && stream->kind() == Stdio::Kind::pipe) {
      return os::failed_with(EINVAL, "run with a pipe", kStreamNames[i]);
    }
  }
  auto process = spawn();
  if (!process) return std::unexpected(process.error());
  if (!description_->timeout) return process->wait();

  const auto ended = process->wait_for(*description_->timeout);
  if (!ended) return std::unexpected(ended.error());
  if (*ended) return **ended;
  (void)process->kill(SIGKILL);  // it may have ended by itself just now
  auto killed = process->wait();
  if (killed) killed->timed_out = true;
  return killed;
}

Result<Output> Command::capture(const CaptureOptions& options) const {
  Command piped(*this);
  auto& streams = piped.description_->streams;
  if (!streams[0]) streams[0] = options.input.empty() ? Stdio::null() : Stdio::pipe();
  if (!streams[1]) streams[1] = Stdio::pipe();
  if (!streams[2]) streams[2] = Stdio::pipe();
  if (!options.input.empty() && streams[0]->kind() != Stdio::Kind::pipe) {
    return os::failed_with(EINVAL, "capture with input", "in");
  }
  piped.kill_on_drop();  // should it fail half-way
  auto process = piped.spawn();
  if (!process) return std::unexpected(process.error());
  CaptureOptions limited = options;
  if (!limited.timeout) limited.timeout = description_->timeout;
  return process->capture(limited);
}

}  // namespace prewarm
