// SPDX-License-Identifier: MIT
//
// The adapter for tools that speak FCLI over two FIFOs (docs/protocol/fcli.md).
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "coproc/fcli_streams.h"
#include "coproc/tool_adapter.h"
#include "os/runtime_directory.h"

namespace prewarm::coproc {
namespace {

constexpr std::uint32_t kVersionId = 1;

class FcliAdapter : public ToolAdapter {
 public:
  using ToolAdapter::ToolAdapter;

 private:
  os::Result<void> prepare(Command& command) override;
  os::Result<void> started(Process& process) override;
  std::optional<Outcome> begin(std::uint32_t id, Active& request) override;
  const char* take(std::string_view& bytes) override;
  void deliver(std::uint32_t id, Active& request, int number) override;
  void collect(std::uint32_t id, Active& request) override;

  const char* take_greeting(const Message& message);
  bool put_message(const Message& message);

  std::optional<FifoDirectory> directory_;
  std::map<std::uint32_t, FcliStreams> streams_;
  std::uint64_t invocations_ = 0;
  bool tool_takes_signals_ = false;
};

os::Result<os::Fd> make_fifo(const std::string& path, int flags) {
  if (::mkfifo(path.c_str(), 0600) != 0) return os::failed("make a FIFO", path);
  os::Fd fd(::open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) return os::failed("open a FIFO", path);
  return fd;
}

void lose_output(Outcome& outcome, std::string message) {
  const bool retire = outcome.retire;
  outcome = Outcome::exited(kFailedStatus);
  outcome.reason = "output";
  outcome.message = std::move(message);
  outcome.retire = retire;
}

os::Result<void> FcliAdapter::prepare(Command& command) {
  const auto parent = os::runtime_directory();
  if (!parent) return std::unexpected(parent.error());
  auto directory = FifoDirectory::make(*parent);
  if (!directory) return std::unexpected(directory.error());
  directory_.emplace(std::move(*directory));
  const std::string requests = directory_->path() + "/requests";
  const std::string answers = directory_->path() + "/answers";
  // Requests are open in both directions, so that what the tool has not read when it ends stays
  // there to be counted. Answers are not, so that their end is seen.
  auto to_tool = make_fifo(requests, O_RDWR);
  if (!to_tool) return std::unexpected(to_tool.error());
  auto from_tool = make_fifo(answers, O_RDONLY);
  if (!from_tool) return std::unexpected(from_tool.error());
  set_channel(std::move(*to_tool), std::move(*from_tool));
  command.env("FCLI_VERSION", std::to_string(kProtocolVersion));
  command.env("FCLI_REQUEST_FIFO", requests).env("FCLI_RESPONSE_FIFO", answers);
  command.in(Stdio::null()).out(Stdio::null()).err(Stdio::pipe());
  return {};
}

os::Result<void> FcliAdapter::started(Process& process) {
  const int log = process.err().get();
  ::fcntl(log, F_SETFL, ::fcntl(log, F_GETFL) | O_NONBLOCK);
  set_log(std::move(process.err()));
  put_message(version_request(kVersionId));
  return {};
}

bool FcliAdapter::put_message(const Message& message) {
  const auto text = print_message(message);
  if (text) put(*text);
  return text.has_value();
}

std::optional<Outcome> FcliAdapter::begin(std::uint32_t id, Active& request) {
  Invocation invocation = std::move(request.request.invocation);
  // What is for owners of pools only.
  invocation.program.clear();
  invocation.affinity.clear();
  invocation.declarations.clear();
  invocation.preload.clear();
  invocation.workers = 0;
  invocation.timeout.reset();
  FcliStreams& streams = streams_[id];
  auto relays = streams.open(directory_->path() + "/" + std::to_string(++invocations_),
                             options_.takes_stdin, request.request.streams, invocation);
  if (!relays) return Outcome::not_run("refused", relays.error().message());
  os::Result<void> running;
  for (auto& relay : *relays) start_relay(request, std::move(relay), running);
  if (!running) return Outcome::not_run("refused", running.error().message());
  if (!put_message(to_message(invocation, id))) {
    return Outcome::not_run("refused", "with the whole environment it is too long for a message");
  }
  return {};
}

const char* FcliAdapter::take_greeting(const Message& message) {
  if (message.id != kVersionId) return "it has answered what was not asked";
  auto greeting = greeting_of(message);
  if (!greeting) return "its answer to `version` is none of this version";
  tool_takes_signals_ = greeting->takes_signals;
  greet(std::move(*greeting));
  return nullptr;
}

const char* FcliAdapter::take(std::string_view& bytes) {
  for (;;) {
    auto message = take_message(bytes);
    if (!message) return message.error();
    if (!*message) return nullptr;
    if (!has_greeted()) {
      if (const char* wrong = take_greeting(**message)) return wrong;
      continue;
    }
    const Active* request = find((*message)->id);
    if (request == nullptr || request->outcome) return "it has answered what was not asked";
    auto outcome = outcome_of(**message);
    if (!outcome) return "its answer is neither a status nor an error";
    end((*message)->id, std::move(*outcome));
  }
}

void FcliAdapter::deliver(std::uint32_t id, Active&, int number) {
  if (!tool_takes_signals_) return signal_tool(number);
  Message message{"signal", 0, {}};
  message.add("request", std::to_string(id));
  message.add("signal", std::to_string(number));
  put_message(message);
}

void FcliAdapter::collect(std::uint32_t id, Active& request) {
  Outcome& outcome = *request.outcome;
  const auto streams = streams_.find(id);
  if (streams == streams_.end()) return;
  const bool succeeded = outcome.kind == Outcome::Kind::exited && outcome.value == 0;
  if (outcome.was_run() && !streams->second.are_in_place()) {
    lose_output(outcome, "a FIFO of a standard stream was replaced while the tool ran");
  }
  for (const auto& relay : request.relays) {
    // A reader that has gone is the tool's own affair: its writes fail. Of anything else it may not
    // have heard before its end.
    if (!succeeded || relay->error() == 0 || relay->error() == EPIPE) continue;
    lose_output(outcome,
                os::failed_with(relay->error(), "write the tool's output").error().message());
  }
  streams_.erase(streams);
}

}  // namespace

int adapt_fcli(const AdapterOptions& options) {
  auto socket = Service::inherited_socket();
  if (!socket) return kNoWorkerStatus;
  block_signals();
  return FcliAdapter(options, std::move(*socket)).run();
}

}  // namespace prewarm::coproc
