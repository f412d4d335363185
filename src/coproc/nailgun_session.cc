// SPDX-License-Identifier: MIT
#include "coproc/nailgun_session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <optional>

#include "coproc/client.h"
#include "coproc/declarations.h"
#include "coproc/invocation.h"
#include "coproc/nailgun.h"
#include "coproc/owner_client.h"
#include "coproc/proxy.h"
#include "os/program.h"
#include "os/signal_queue.h"
#include "prewarm/command.h"

namespace prewarm::coproc {
namespace {

constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;
// What waits to be sent to the client; above it the tool has to wait, too.
constexpr std::size_t kMostOutgoing = 256 << 10;
// What the client has sent and the tool has not read. A client sends one chunk when it is asked.
constexpr std::size_t kMostInput = 2 * kMaxChunkBytes;
// A client that is gone: what it has started gets SIGHUP, and this time to end.
constexpr std::chrono::milliseconds kGrace{2000};
// A client that has its exit status closes the connection.
constexpr int kLingerMs = 5000;

struct Ends {
  os::Fd ours;
  os::Fd tools;
};

// Ours doesn't block; it isn't the same open file as the tool's.
std::optional<Ends> make_ends(bool tool_reads) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return {};
  Ends ends{os::Fd(fds[tool_reads ? 1 : 0]), os::Fd(fds[tool_reads ? 0 : 1])};
  ::fcntl(ends.ours.get(), F_SETFL, O_NONBLOCK);
  return ends;
}

std::string variable(const NailgunCommand& command, std::string_view name) {
  for (auto v = command.environment.rbegin(); v != command.environment.rend(); ++v) {
    if (v->starts_with(name) && v->size() > name.size() && (*v)[name.size()] == '=') {
      return v->substr(name.size() + 1);
    }
  }
  return {};
}

// The program as a shell finds it, along the client's PATH and from its directory, which is this
// process's. Empty: there is none.
std::string find_program(const NailgunCommand& command) {
  const std::string path = variable(command, "PATH");
  return os::find_program(command.name, path.empty() ? "/usr/local/bin:/usr/bin:/bin" : path);
}

class Session {
 public:
  Session(os::Fd socket, const NailgunOptions& options)
      : socket_(std::move(socket)), options_(options) {}
  void serve();

 private:
  enum class State { running, ended, gone };

  bool read_command();
  bool prepare();
  bool make_streams(bool takes_stdin);
  void start();
  void start_batch(const std::string& why);
  void copy();
  void look_at_owner();
  void look_at_batch();
  void end(const Outcome& outcome);
  void take_input();
  void take(Chunk chunk);
  void write_input();
  void pass_output(os::Fd& from, ChunkType type, std::size_t most);
  void pass_rest();
  bool receive();
  bool flush();
  void fail(int status, const std::string& text);
  void say_exit(int status);
  void cancel();
  void linger();

  os::Fd socket_;
  const NailgunOptions& options_;
  os::SignalQueue signals_{os::signal_set({SIGTERM, SIGINT, SIGHUP})};
  std::string incoming_;
  std::string outgoing_;
  NailgunCommand command_;
  Invocation invocation_;
  State state_ = State::running;

  os::Fd in_, out_, err_;                 // our ends
  os::Fd tool_in_, tool_out_, tool_err_;  // the tool's, until it is certain who runs it
  std::string input_;                     // on its way to the tool
  bool asked_for_input_ = false;
  bool input_ended_ = false;

  std::optional<Client> owner_;  // where the request is
  std::uint32_t id_ = 0;
  std::optional<Process> batch_;
};

// The service of one client is this list of steps.
void Session::serve() {
  ::signal(SIGPIPE, SIG_IGN);
  ::fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
  if (!read_command()) return;
  if (prepare()) {
    start();
    copy();
  }
  if (state_ == State::gone) {
    cancel();
  } else {
    linger();
  }
}

// False: the client has gone, or was told what is wrong.
bool Session::read_command() {
  for (;;) {
    std::string_view rest = incoming_;
    while (true) {
      auto chunk = take_chunk(rest);
      if (!chunk) return fail(kFailedStatus, chunk.error()), linger(), false;
      if (!*chunk) break;
      const auto done = command_.take(std::move(**chunk));
      if (!done) return fail(kFailedStatus, done.error()), linger(), false;
      if (!*done) continue;
      incoming_.erase(0, incoming_.size() - rest.size());
      return true;
    }
    incoming_.erase(0, incoming_.size() - rest.size());
    pollfd polled[] = {{socket_.get(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return false;
    if (polled[1].revents != 0 || !receive()) return false;
  }
}

// False: it can't be run, and the client was told.
bool Session::prepare() {
  if (::chdir(command_.directory.c_str()) != 0) {
    fail(kFailedStatus, command_.directory + ": " + std::strerror(errno));
    return false;
  }
  const std::string program = find_program(command_);
  if (program.empty()) {
    fail(kNotFound, command_.name + ": command not found");
    return false;
  }
  if (!os::is_program(program)) {
    const bool is_there = ::access(program.c_str(), F_OK) == 0;
    fail(is_there ? kNotExecutable : kNotFound,
         program + (is_there ? ": it can't be executed" : ": there is no such file"));
    return false;
  }
  std::vector<char*> argv{command_.name.data()};
  for (auto& a : command_.arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  std::vector<char*> env;
  for (auto& v : command_.environment) env.push_back(v.data());
  env.push_back(nullptr);
  auto invocation = invocation_from_here(program, argv.data(), env.data());
  if (!invocation) {
    fail(kFailedStatus, invocation.error().message());
    return false;
  }
  invocation_ = std::move(*invocation);
  invocation_.declarations = options_.declarations;
  bool takes_stdin = true;
  if (const auto declared = read_declarations(options_.declarations)) {
    const auto* tool = declared->find(command_.name, invocation_.program);
    takes_stdin = tool == nullptr || tool->takes_stdin;
  }
  if (make_streams(takes_stdin)) return true;
  fail(kFailedStatus, std::string("no pipes: ") + std::strerror(errno));
  return false;
}

bool Session::make_streams(bool takes_stdin) {
  auto in = make_ends(true);
  auto out = make_ends(false);
  auto err = make_ends(false);
  if (!in || !out || !err) return false;
  tool_in_ = std::move(in->tools);
  tool_out_ = std::move(out->tools);
  tool_err_ = std::move(err->tools);
  if (takes_stdin) in_ = std::move(in->ours);
  out_ = std::move(out->ours);
  err_ = std::move(err->ours);
  return true;
}

// By the owner of pools, if it takes the request; it says `error` if it doesn't.
void Session::start() {
  auto owner = connect_to_owner(options_.prewarm);
  if (!owner) return start_batch(owner.error().message());
  const auto id = owner->send(invocation_, {tool_in_.get(), tool_out_.get(), tool_err_.get()});
  if (!id) return start_batch(id.error().message());
  id_ = *id;
  owner_ = std::move(*owner);
}

// As the process that it would have been: nobody has run it.
void Session::start_batch(const std::string& why) {
  owner_.reset();
  Command command(invocation_.program);
  command.argv0(command_.name).clear_env().kill_group().signals(Signals::all_default);
  for (const auto& a : command_.arguments) command.arg(a);
  for (const auto& v : invocation_.environment) {
    const auto equals = v.find('=');
    command.env(v.substr(0, equals), v.substr(equals + 1));
  }
  command.in(Stdio::descriptor(tool_in_.get()))
      .out(Stdio::descriptor(tool_out_.get()))
      .err(Stdio::descriptor(tool_err_.get()));
  auto process = command.spawn();
  tool_in_.reset();
  tool_out_.reset();
  tool_err_.reset();
  if (process) {
    batch_ = std::move(*process);
    return;
  }
  fail(kNotExecutable, process.error().message() + " (and no worker: " + why + ")");
  state_ = State::ended;
}

void Session::copy() {
  while (state_ == State::running) {
    if (in_.valid() && input_.empty() && !input_ended_ && !asked_for_input_) {
      append_chunk(outgoing_, ChunkType::want_input);
      asked_for_input_ = true;
    }
    const bool has_room = outgoing_.size() < kMostOutgoing;
    const auto when = [](bool yes, short events) { return static_cast<short>(yes ? events : 0); };
    const auto client = static_cast<short>(POLLRDHUP | when(input_.size() < kMostInput, POLLIN) |
                                           when(!outgoing_.empty(), POLLOUT));
    pollfd polled[] = {
        {socket_.get(), client, 0},
        {signals_.fd(), POLLIN, 0},
        {owner_ ? owner_->fd() : -1, POLLIN, 0},
        {batch_ ? batch_->pidfd() : -1, POLLIN, 0},
        {input_.empty() ? -1 : in_.get(), POLLOUT, 0},
        {has_room ? out_.get() : -1, POLLIN, 0},
        {has_room ? err_.get() : -1, POLLIN, 0},
    };
    if (::poll(polled, std::size(polled), -1) < 0 && errno != EINTR) state_ = State::gone;
    if (polled[1].revents != 0) state_ = State::gone;
    if ((polled[0].revents & POLLIN) != 0 && !receive()) state_ = State::gone;
    if ((polled[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) state_ = State::gone;
    if (state_ != State::running) return;
    take_input();
    if (polled[4].revents != 0) write_input();
    if (polled[5].revents != 0) pass_output(out_, ChunkType::output, kMostOutgoing);
    if (polled[6].revents != 0) pass_output(err_, ChunkType::errors, kMostOutgoing);
    if (!flush()) state_ = State::gone;
    if (state_ == State::running && polled[2].revents != 0) look_at_owner();
    if (state_ == State::running && polled[3].revents != 0) look_at_batch();
  }
}

void Session::look_at_owner() {
  const auto answer = owner_->receive(false);
  if (answer && !*answer) return;
  if (!answer) {
    // What the owner has not read nobody has run.
    if (answer.error().code == ECONNRESET) return start_batch(answer.error().message());
    fail(kFailedStatus, "the owner of its workers has ended");
    state_ = State::ended;
    return;
  }
  const auto outcome = outcome_of(**answer);
  if (outcome && !outcome->was_run()) return start_batch(outcome->message);
  end(outcome ? *outcome : Outcome::exited(kFailedStatus));
}

void Session::look_at_batch() {
  const auto exit = batch_->wait_for(std::chrono::milliseconds(0));
  if (exit && !*exit) return;
  batch_.reset();
  end(exit ? Outcome::of_wait_status((*exit)->status.wait_status())
           : Outcome::exited(kFailedStatus));
}

// The tool has ended. What it has written is in the pipes.
void Session::end(const Outcome& outcome) {
  owner_.reset();
  pass_rest();
  if (!outcome.message.empty()) {
    append_chunk(outgoing_, ChunkType::errors,
                 "prewarm: " + command_.name + ": " + outcome.message + "\n");
  }
  constexpr int kSignalBase = 128;  // as shells count
  say_exit(outcome.kind == Outcome::Kind::killed ? kSignalBase + outcome.value : outcome.value);
  state_ = State::ended;
}

// Not to the end of the file: what the tool has left behind may hold it, and write for ever.
void Session::pass_rest() {
  for (auto* stream : {&out_, &err_}) {
    int left = 0;
    const auto type = stream == &out_ ? ChunkType::output : ChunkType::errors;
    if (!stream->valid() || ::ioctl(stream->get(), FIONREAD, &left) != 0) continue;
    pass_output(*stream, type, static_cast<std::size_t>(left));
  }
}

void Session::pass_output(os::Fd& from, ChunkType type, std::size_t most) {
  char data[65536];
  while (most > 0) {
    const ssize_t n = ::read(from.get(), data, std::min(most, sizeof data));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return from.reset();  // nobody will write to it any more
    append_chunk(outgoing_, type, {data, static_cast<std::size_t>(n)});
    most -= static_cast<std::size_t>(n);
  }
}

void Session::take_input() {
  std::string_view rest = incoming_;
  for (;;) {
    auto chunk = take_chunk(rest);
    if (!chunk) state_ = State::gone;
    if (!chunk || !*chunk) break;
    take(std::move(**chunk));
  }
  incoming_.erase(0, incoming_.size() - rest.size());
}

void Session::take(Chunk chunk) {
  if (!in_.valid()) return;
  if (chunk.type == ChunkType::input) {
    asked_for_input_ = false;
    input_ += chunk.data;
    write_input();
  } else if (chunk.type == ChunkType::end_of_input) {
    input_ended_ = true;
    if (input_.empty()) in_.reset();
  }
}

void Session::write_input() {
  while (!input_.empty()) {
    const ssize_t n = ::write(in_.get(), input_.data(), input_.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {  // nobody reads it any more
      in_.reset();
      input_.clear();
      return;
    }
    input_.erase(0, static_cast<std::size_t>(n));
  }
  if (input_ended_) in_.reset();
}

// False: the client has gone.
bool Session::receive() {
  char data[65536];
  const ssize_t n = ::recv(socket_.get(), data, sizeof data, 0);
  if (n > 0) incoming_.append(data, static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

bool Session::flush() {
  while (!outgoing_.empty()) {
    const ssize_t n = ::send(socket_.get(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    outgoing_.erase(0, static_cast<std::size_t>(n));
  }
  return true;
}

void Session::fail(int status, const std::string& text) {
  append_chunk(outgoing_, ChunkType::errors, "prewarm: nailgun: " + text + "\n");
  say_exit(status);
}

void Session::say_exit(int status) {
  append_chunk(outgoing_, ChunkType::exit, std::to_string(status));
}

// The client has gone, as a terminal goes.
void Session::cancel() {
  if (owner_) (void)owner_->signal(id_, SIGHUP);
  owner_.reset();  // its owner ends what does not end by that
  if (!batch_) return;
  (void)batch_->kill(SIGHUP);
  const auto exit = batch_->wait_for(kGrace);
  if (exit && *exit) return;
  (void)batch_->kill(SIGKILL);
  (void)batch_->wait();
}

// Sends what is left and waits until the client closes: if it were closed here while heartbeats
// still come, the kernel would throw away what the client has not read.
void Session::linger() {
  bool is_closed = false;
  for (;;) {
    if (!flush()) return;
    if (outgoing_.empty() && !is_closed) {
      ::shutdown(socket_.get(), SHUT_WR);
      is_closed = true;
    }
    const auto events = static_cast<short>(POLLIN | (is_closed ? 0 : POLLOUT));
    pollfd polled[] = {{socket_.get(), events, 0}, {signals_.fd(), POLLIN, 0}};
    const int ready = ::poll(polled, 2, is_closed ? kLingerMs : -1);
    if (ready == 0 || (ready < 0 && errno != EINTR) || polled[1].revents != 0) return;
    if ((polled[0].revents & POLLIN) != 0 && !receive()) return;
    incoming_.clear();
  }
}

}  // namespace

void serve_nailgun_client(os::Fd socket, const NailgunOptions& options) {
  Session(std::move(socket), options).serve();
}

}  // namespace prewarm::coproc
