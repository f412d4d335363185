// SPDX-License-Identifier: MIT
#include "coproc/tool_adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "os/clock.h"

namespace prewarm::coproc {
namespace {

// A little less than the driver's own patience, so that it hears how the request has ended.
constexpr std::int64_t kGraceNs = 1'700 * os::kNsPerMs;
// Before the first nudge of a relay that waits in a system call, and between later ones at most.
constexpr int kFirstNudgeMs = 2;
constexpr int kMostNudgeMs = 500;
constexpr std::size_t kReadBytes = 65536;
constexpr std::size_t kLogTailBytes = 2048;
// Of an answer that isn't whole yet. The derived class has a limit for one; this one is for what
// none of them could be.
constexpr std::size_t kMaxIncomingBytes = std::size_t{64} << 20;

void set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

Outcome protocol_failure(std::string message) {
  Outcome outcome = Outcome::exited(kFailedStatus);
  outcome.reason = "protocol";
  outcome.message = std::move(message);
  outcome.retire = true;
  return outcome;
}

}  // namespace

bool ends_programs(int number) {
  switch (number) {
    case SIGCHLD:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGURG:
    case SIGWINCH:
      return false;
    default:
      return true;
  }
}

void block_signals() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

ToolAdapter::ToolAdapter(const AdapterOptions& options, os::Fd socket)
    : options_(options), socket_(std::move(socket)) {}

ToolAdapter::~ToolAdapter() = default;

int ToolAdapter::run() {
  if (auto begun = start(); !begun) return refuse(begun.error().message());
  while (!is_over()) {
    wait_for_events();
    take_signals();
    take_log(false);
    take_answers();
    take_tool_end();
    take_requests();
    flush_channel();
    look_at_clocks();
    settle();
  }
  return finish();
}

os::Result<void> ToolAdapter::start() {
  sigset_t all;
  ::sigfillset(&all);
  signals_.emplace(all);
  relays_done_ = os::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals_->valid() || !relays_done_.valid()) return os::failed("begin");

  // The tool stays in this process's group and session, so that what is sent to the group reaches
  // it. It doesn't outlive this process.
  Command command(options_.command.front());
  for (std::size_t i = 1; i < options_.command.size(); ++i) command.arg(options_.command[i]);
  command.death_signal(SIGKILL);
  if (auto prepared = prepare(command); !prepared) return prepared;
  auto process = command.spawn();
  if (!process) return std::unexpected(process.error());
  tool_ = std::move(*process);
  tool_->set_kill_on_drop(true);
  start_until_ = os::now_ns() + options_.start_seconds * os::kNsPerSecond;
  return started(*tool_);
}

// Answers `version` by saying why there is no worker here.
int ToolAdapter::refuse(const std::string& why) {
  if (tool_ && !exit_) kill_tool();
  PacketReader reader;
  for (;;) {
    const auto packet = receive_packet(socket_.get(), reader);
    if (!packet || !*packet) return 1;
    const auto request = parse_message((*packet)->payload);
    if (!request) return 1;
    const auto text = print_message(to_message(Outcome::not_run("refused", why), request->id));
    if (!text || !send_packet(socket_.get(), *text)) return 1;
    if (request->type == "version") return 1;
  }
}

std::string ToolAdapter::why_not_started() const {
  std::string why = options_.command.front();
  if (violation_) {
    why += " is no worker of this protocol: " + *violation_;
  } else if (too_late_) {
    why += " has not said that it is a worker within " + std::to_string(options_.start_seconds) +
           " seconds";
  } else {
    why += " is no worker of this protocol: it has " + exit_->status.message();
  }
  if (!log_tail_.empty()) why += "; it wrote: " + log_tail_;
  // A message can't hold NULs.
  std::replace(why.begin(), why.end(), '\0', ' ');
  return why;
}

// ---- Waiting -----------------------------------------------------------------------------------

int ToolAdapter::poll_timeout() const {
  std::optional<std::int64_t> until = kill_tool_at_;
  const auto at = [&until](std::int64_t t) { until = until ? std::min(*until, t) : t; };
  if (!service_ && !driver_gone_) at(start_until_);
  for (const auto& [id, request] : active_) {
    if (request.outcome || driver_gone_) at(os::now_ns() + nudge_ms_ * os::kNsPerMs);
    if (request.kill_at) at(*request.kill_at);
  }
  if (!until) return -1;
  const std::int64_t left = *until - os::now_ns();
  // Rounded up: a poll that ends early would be repeated without a pause.
  return static_cast<int>(std::clamp<std::int64_t>(left / os::kNsPerMs + 1, 0, 3'600'000));
}

void ToolAdapter::wait_for_events() {
  std::vector<pollfd> polled;
  const auto add = [&polled](int fd, short events) { polled.push_back({fd, events, 0}); };
  add(signals_->fd(), POLLIN);
  add(relays_done_.get(), POLLIN);
  if (log_.valid()) add(log_.get(), POLLIN);
  if (!exit_) add(tool_->pidfd(), POLLIN);
  if (from_tool_.valid() && !answers_ended_) add(from_tool_.get(), POLLIN);
  if (to_tool_.valid() && !outgoing_.empty()) add(to_tool_.get(), POLLOUT);
  if (!driver_gone_) {
    // Before the tool has greeted, requests wait; only that the driver goes is of interest.
    if (!service_) add(socket_.get(), POLLRDHUP);
    if (service_) {
      const int wish = (driver_listens() ? POLLIN : 0) | (service_->wants_to_write() ? POLLOUT : 0);
      add(service_->fd(), static_cast<short>(wish));
    }
  }
  ::poll(polled.data(), polled.size(), poll_timeout());
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = ::read(relays_done_.get(), &count, sizeof count);
}

// ---- The tool ----------------------------------------------------------------------------------

void ToolAdapter::set_channel(os::Fd to_tool, os::Fd from_tool) {
  to_tool_ = std::move(to_tool);
  from_tool_ = std::move(from_tool);
  set_nonblocking(to_tool_.get());
  set_nonblocking(from_tool_.get());
}

void ToolAdapter::greet(Greeting greeting) {
  greeting.takes_signals = true;
  service_.emplace(std::move(socket_), std::move(greeting));
}

void ToolAdapter::put(std::string_view bytes) {
  outgoing_ += bytes;
  put_ += bytes.size();
  flush_channel();
}

void ToolAdapter::flush_channel() {
  while (to_tool_.valid() && !outgoing_.empty()) {
    const ssize_t n = ::write(to_tool_.get(), outgoing_.data(), outgoing_.size());
    if (n >= 0) {
      outgoing_.erase(0, static_cast<std::size_t>(n));
      written_ += static_cast<std::uint64_t>(n);
    } else if (errno != EINTR) {
      if (errno == EAGAIN) return;  // the tool doesn't read now
      // Or never again: its end says the rest. One that has closed its input and goes on is given
      // up.
      if (!kill_tool_at_) kill_tool_at_ = os::now_ns() + kGraceNs;
      outgoing_.clear();
    }
  }
}

void ToolAdapter::take_log(bool to_end) {
  char text[4096];
  while (log_.valid()) {
    const ssize_t n = ::read(log_.get(), text, sizeof text);
    if (n <= 0) {
      if (n == 0 || errno != EAGAIN) log_.reset();
      return;
    }
    const std::string_view part(text, static_cast<std::size_t>(n));
    if (!service_) {
      log_tail_ += part;
      if (log_tail_.size() > kLogTailBytes) log_tail_.erase(0, log_tail_.size() - kLogTailBytes);
    }
    // A log that nobody reads must hold up nothing.
    pollfd p{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0) {
      [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, part.data(), part.size());
    }
    if (!to_end) return;
  }
}

void ToolAdapter::take_answers() {
  char bytes[kReadBytes];
  while (from_tool_.valid() && !answers_ended_ && !violation_) {
    const ssize_t n = ::read(from_tool_.get(), bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;
    if (n == 0) {
      // Nothing, if it is a FIFO that the tool has not opened yet.
      pollfd p{from_tool_.get(), POLLIN, 0};
      if (::poll(&p, 1, 0) != 1) return;
      // It is about to end. If it isn't, nothing will ever be answered.
      answers_ended_ = true;
      if (!kill_tool_at_) kill_tool_at_ = os::now_ns() + kGraceNs;
      return;
    }
    incoming_.append(bytes, static_cast<std::size_t>(n));
    std::string_view rest = incoming_;
    const char* wrong = take(rest);
    incoming_.erase(0, incoming_.size() - rest.size());
    if (wrong != nullptr) return violated(wrong);
    if (incoming_.size() > kMaxIncomingBytes) return violated("its answer is too long");
  }
}

// What the tool has said makes no sense: nothing that it says later can be trusted.
void ToolAdapter::violated(const std::string& what) {
  if (violation_) return;
  violation_ = what;
  kill_tool();
  for (auto& [id, request] : active_) {
    if (!request.outcome) end(id, protocol_failure("the tool wrote what isn't an answer: " + what));
  }
}

void ToolAdapter::signal_tool(int number) {
  if (!tool_ || exit_) return;
  // All signals are blocked here but these two.
  if (number == SIGKILL || number == SIGSTOP) {
    [[maybe_unused]] const auto sent = tool_->kill(number);
  } else {
    ::kill(0, number);
  }
}

void ToolAdapter::kill_tool() {
  if (tool_ && !exit_) [[maybe_unused]]
    const auto sent = tool_->kill(SIGKILL);
}

std::uint64_t ToolAdapter::consumed() const {
  int unread = 0;
  if (!to_tool_.valid() || ::ioctl(to_tool_.get(), FIONREAD, &unread) != 0) return written_;
  return written_ - static_cast<std::uint64_t>(unread);
}

// Of a request that the tool has not answered, and never will.
Outcome ToolAdapter::outcome_at_end(const Active& request, bool is_only_one) const {
  if (violation_) return protocol_failure("the tool wrote what isn't an answer: " + *violation_);
  const bool unseen = consumed() <= request.begins_at;
  if (unseen && !request.signal) {
    Outcome outcome = Outcome::not_run("refused", "the tool ended before it had seen the request");
    outcome.retire = true;
    return outcome;
  }
  Outcome outcome = Outcome::of_wait_status(exit_->status.wait_status());
  outcome.retire = true;
  // An end that is only the others' is told apart.
  if (request.signal && (unseen || request.withheld)) {
    outcome.kind = Outcome::Kind::killed;
    outcome.value = *request.signal;
  } else if (!is_only_one) {
    outcome.reason = "worker-exited";
    outcome.message = "the tool worked on several requests and has " + exit_->status.message();
  }
  return outcome;
}

void ToolAdapter::take_tool_end() {
  if (exit_) return;
  auto ended = tool_->wait_for(std::chrono::milliseconds(0));
  if (ended && !*ended) return;
  // What it has written before is there now.
  take_answers();
  take_log(true);
  exit_ = ended ? **ended : Exit();
  kill_tool_at_.reset();
  const auto open = std::count_if(active_.begin(), active_.end(),
                                  [](const auto& entry) { return !entry.second.outcome; });
  for (auto& [id, request] : active_) {
    if (!request.outcome) end(id, outcome_at_end(request, open == 1));
  }
}

// ---- Requests ----------------------------------------------------------------------------------

void ToolAdapter::take_signals() {
  while (const auto info = signals_->next()) {
    const int number = static_cast<int>(info->ssi_signo);
    // What was sent to the group has reached the tool, too, and its end will be seen. It has some
    // time for that. Our own signals come with requests, which have a clock of their own.
    const bool asks_to_end =
        number == SIGTERM || number == SIGHUP || number == SIGINT || number == SIGQUIT;
    if (!asks_to_end || info->ssi_pid == static_cast<std::uint32_t>(::getpid())) continue;
    if (active_.empty() && number == SIGTERM) driver_gone();
    for (auto& [id, request] : active_) {
      if (!request.kill_at) request.kill_at = os::now_ns() + kGraceNs;
    }
  }
}

// Once the tool has ended, only signals for what is still on its way out are of interest. What is
// left in the socket when this process ends is known to its driver as not received.
bool ToolAdapter::driver_listens() const {
  return !requests_ended_ && (!exit_ || !active_.empty());
}

void ToolAdapter::take_requests() {
  if (driver_gone_) return;
  const int socket = service_ ? service_->fd() : socket_.get();
  const short gone = service_ ? POLLHUP | POLLERR : POLLRDHUP | POLLHUP | POLLERR;
  pollfd p{socket, gone, 0};
  const bool hung_up = ::poll(&p, 1, 0) == 1 && (p.revents & gone) != 0;
  if (!service_) {
    if (hung_up) driver_gone();
    return;
  }
  auto state = driver_listens() ? service_->receive() : Service::State::open;
  // What it had sent before it went may still be no message.
  while (hung_up && driver_listens() && state == Service::State::open) state = service_->receive();
  if (state == Service::State::broken) driver_broken_ = true;
  if (hung_up || state == Service::State::broken || service_->flush() == Service::State::broken) {
    return driver_gone();
  }
  if (state == Service::State::ended) requests_ended_ = true;
  while (auto request = service_->next_request()) {
    const auto id = request->id;
    Active& active = active_[id];
    active.request = std::move(*request);
    active.begins_at = put_;
    if (exit_.has_value() || violation_.has_value() || answers_ended_) {
      end(id, Outcome::not_run("refused", "the tool has ended"));
    } else if (auto refused = begin(id, active)) {
      end(id, std::move(*refused));
    }
  }
  while (const auto asked = service_->next_signal()) {
    Active* active = find(asked->request);
    if (active == nullptr) continue;
    const bool ends = ends_programs(asked->number);
    if (active->outcome.has_value()) {
      // It only waits for somebody to read its output: a program that waits so would end.
      if (ends) {
        for (auto& relay : active->relays) relay->abandon();
      }
      continue;
    }
    if (ends) active->signal = asked->number;
    if (ends && !active->kill_at) active->kill_at = os::now_ns() + kGraceNs;
    deliver(asked->request, *active, asked->number);
  }
  if (requests_ended_ && active_.empty()) driver_gone();
}

void ToolAdapter::driver_gone() {
  if (driver_gone_) return;
  driver_gone_ = true;
  // End of file for a tool that waits; what works for nobody is told to end.
  to_tool_.reset();
  if (!active_.empty() || !service_) signal_tool(SIGTERM);
  for (auto& [id, request] : active_) {
    for (auto& relay : request.relays) relay->abandon();
  }
  nudge_ms_ = kFirstNudgeMs;
  kill_tool_at_ = os::now_ns() + kGraceNs;
}

ToolAdapter::Active* ToolAdapter::find(std::uint32_t id) {
  const auto found = active_.find(id);
  return found == active_.end() ? nullptr : &found->second;
}

void ToolAdapter::start_relay(Active& active, std::unique_ptr<Relay> relay,
                              os::Result<void>& result) {
  if (!result) return;
  result = relay->start(relays_done_.get());
  if (result) active.relays.push_back(std::move(relay));
}

void ToolAdapter::end(std::uint32_t id, Outcome outcome) {
  Active* request = find(id);
  if (request == nullptr || request->outcome) return;
  request->outcome = std::move(outcome);
  for (auto& relay : request->relays) relay->finish();
  nudge_ms_ = kFirstNudgeMs;
}

void ToolAdapter::look_at_clocks() {
  const std::int64_t now = os::now_ns();
  if (kill_tool_at_ && now >= *kill_tool_at_) {
    kill_tool_at_.reset();
    if (answers_ended_ && !driver_gone_ && !exit_) {
      return violated("it has closed its side of the connection");
    }
    kill_tool();
  }
  if (!service_ && !driver_gone_ && !exit_ && now >= start_until_) {
    too_late_ = true;
    start_until_ = now + kGraceNs;  // it dies meanwhile
    kill_tool();
  }
  for (auto& [id, request] : active_) {
    if (!request.kill_at || now < *request.kill_at) continue;
    request.kill_at.reset();
    kill_tool();
    if (!request.outcome) continue;
    for (auto& relay : request.relays) relay->abandon();
  }
}

// Answers the requests that have ended and whose streams have.
void ToolAdapter::settle() {
  nudge_ms_ = std::min(2 * nudge_ms_, kMostNudgeMs);
  for (auto at = active_.begin(); at != active_.end();) {
    auto& [id, request] = *at;
    const bool finished = std::all_of(request.relays.begin(), request.relays.end(),
                                      [](const auto& relay) { return relay->finished(); });
    if (!request.outcome || !finished) {
      if (request.outcome || driver_gone_) {
        for (auto& relay : request.relays) relay->nudge();
      }
      ++at;
      continue;
    }
    collect(id, request);
    const Outcome outcome = std::move(*request.outcome);
    const auto answered = id;
    at = active_.erase(at);  // with its descriptors, before the caller hears of it
    if (service_) service_->answer(answered, outcome);
  }
}

bool ToolAdapter::is_over() const {
  const bool answered =
      active_.empty() && (driver_gone_ || !service_ || !service_->wants_to_write());
  return exit_.has_value() && answered;
}

int ToolAdapter::finish() {
  if (!service_ && !driver_gone_) return refuse(why_not_started());
  return violation_ || driver_broken_ ? 1 : 0;
}

}  // namespace prewarm::coproc
