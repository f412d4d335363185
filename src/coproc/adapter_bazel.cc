// SPDX-License-Identifier: MIT
//
// The adapter for Bazel's persistent workers: compilers and linters that stay. What such a worker
// has for all of its requests is fixed when it starts: directory, environment, umask. So a request
// from another directory is refused, since relative paths would mean other files; whoever owns
// pools has one for each directory. So is one with another umask. A worker reads no standard input;
// what it has to say is the response's text, which goes to the caller's standard error (as Bazel
// shows it), or output.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "coproc/bazel_json.h"
#include "coproc/bazel_proto.h"
#include "coproc/tool_adapter.h"
#include "os/runtime_directory.h"
#include "prewarm_config.h"

namespace prewarm::coproc {
namespace {

constexpr const char* kWorkerFlag = "--persistent_worker";

// A file that goes with this object.
class ArgumentFile {
 public:
  ArgumentFile() = default;
  explicit ArgumentFile(std::string path) : path_(std::move(path)) {}
  ArgumentFile(ArgumentFile&& other) noexcept { std::swap(path_, other.path_); }
  ArgumentFile& operator=(ArgumentFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~ArgumentFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class BazelAdapter : public ToolAdapter {
 public:
  BazelAdapter(const AdapterOptions& options, os::Fd socket, const BazelCodec& codec)
      : ToolAdapter(options, std::move(socket)), codec_(codec) {}

 private:
  os::Result<void> prepare(Command& command) override;
  os::Result<void> started(Process& process) override;
  std::optional<Outcome> begin(std::uint32_t id, Active& request) override;
  const char* take(std::string_view& bytes) override;
  void deliver(std::uint32_t id, Active& request, int number) override;
  void collect(std::uint32_t id, Active& request) override;

  bool is_multiplex() const { return options_.multiplex > 1; }
  const char* take_response(WorkResponse response);
  os::Result<void> write_argument_file(std::uint32_t id, WorkRequest& request);

  const BazelCodec& codec_;
  // A multiplex worker's ids of requests are ours, as theirs have 31 bits.
  std::map<std::int32_t, std::uint32_t> ids_;
  std::int32_t last_id_ = 0;
  std::map<std::uint32_t, ArgumentFile> files_;
};

bool is_here(const std::string& directory) {
  struct stat here;
  struct stat there;
  return ::stat(".", &here) == 0 && ::stat(directory.c_str(), &there) == 0 &&
         here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

// The exit status that a process which ends with `code` has; but a failure stays one.
int status_of(std::int32_t code) {
  const int status = code & 0xFF;
  return code != 0 && status == 0 ? 1 : status;
}

os::Result<void> BazelAdapter::prepare(Command& command) {
  command.umask(options_.umask);
  command.arg(kWorkerFlag);
  command.in(Stdio::pipe()).out(Stdio::pipe()).err(Stdio::inherit());
  return {};
}

// These workers have no greeting: one that is none ends, or says what is no response.
os::Result<void> BazelAdapter::started(Process& process) {
  set_channel(std::move(process.in()), std::move(process.out()));
  Greeting greeting;
  greeting.implementation = std::string("prewarm ") + PREWARM_VERSION + ", " +
                            options_.command.front() + " " + kWorkerFlag;
  greeting.concurrent = options_.multiplex;
  greet(std::move(greeting));
  return {};
}

std::optional<Outcome> BazelAdapter::begin(std::uint32_t id, Active& active) {
  const Invocation& invocation = active.request.invocation;
  if (!is_here(*invocation.directory)) {
    return Outcome::not_run("cwd", "this worker serves requests from its own directory only, not " +
                                       *invocation.directory);
  }
  if (invocation.umask.value_or(options_.umask) != options_.umask) {
    return Outcome::not_run("refused", "this worker was started with another umask");
  }
  WorkRequest request;
  request.arguments.assign(invocation.arguments.begin() + 1, invocation.arguments.end());
  for (const auto& argument : request.arguments) {
    if (is_utf8(argument)) continue;
    return Outcome::not_run("refused", "an argument is not UTF-8, and this protocol has no other");
  }
  if (options_.argument_file) {
    const auto written = write_argument_file(id, request);
    if (!written) return Outcome::not_run("refused", written.error().message());
  }
  if (is_multiplex()) {
    do {
      last_id_ = last_id_ == INT32_MAX ? 1 : last_id_ + 1;
    } while (ids_.contains(last_id_));
    request.request_id = last_id_;
  }
  ids_[request.request_id] = id;
  put(codec_.print(request));
  return {};
}

os::Result<void> BazelAdapter::write_argument_file(std::uint32_t id, WorkRequest& request) {
  const auto parent = os::runtime_directory();
  if (!parent) return std::unexpected(parent.error());
  std::string path = *parent + "/arguments.XXXXXX";
  const os::Fd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd.valid()) return os::failed("make a file", path);
  files_[id] = ArgumentFile(path);
  std::string lines;
  for (const auto& argument : request.arguments) {
    if (argument.find('\n') != std::string::npos) {
      return os::failed_with(EINVAL, "write a line for each argument: one has several");
    }
    lines += argument + "\n";
  }
  for (std::string_view rest = lines; !rest.empty();) {
    const ssize_t n = ::write(fd.get(), rest.data(), rest.size());
    if (n < 0) return os::failed("write", path);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  request.arguments = {"@" + path};
  return {};
}

const char* BazelAdapter::take(std::string_view& bytes) {
  for (;;) {
    auto response = codec_.take(bytes);
    if (!response) return response.error();
    if (!*response) return nullptr;
    if (const char* wrong = take_response(std::move(**response))) return wrong;
  }
}

const char* BazelAdapter::take_response(WorkResponse response) {
  const auto known = ids_.find(response.request_id);
  if (known == ids_.end()) return "it has answered what was not asked";
  const auto id = known->second;
  ids_.erase(known);
  Active* active = find(id);
  if (active == nullptr || active->outcome) return "it has answered twice";
  Outcome outcome = Outcome::exited(status_of(response.exit_code));
  if (response.was_cancelled) {
    if (!active->withheld || !active->signal) return "it has cancelled what was not to be";
    outcome.kind = Outcome::Kind::killed;
    outcome.value = *active->signal;
  } else if (!response.output.empty()) {
    auto& target = active->request.streams[options_.output_to_stdout ? 1 : 2];
    os::Result<void> running;
    start_relay(
        *active,
        std::make_unique<OutputRelay>(os::Fd(), std::move(target), std::move(response.output)),
        running);
    if (!running) return "no thread could be started to write its output";
  }
  end(id, std::move(outcome));
  return nullptr;
}

// A worker that can cancel is asked to. Of the others one that has only this request gets the
// signal itself; one that has more is given time to end this one by itself, and is then killed.
void BazelAdapter::deliver(std::uint32_t id, Active& request, int number) {
  if (!ends_programs(number)) return;
  const bool asked_before = request.withheld;
  if (options_.can_cancel && number != SIGKILL) {
    request.withheld = true;
    const auto known = std::find_if(ids_.begin(), ids_.end(),
                                    [id](const auto& entry) { return entry.second == id; });
    if (known == ids_.end() || asked_before) return;
    put(codec_.print({.arguments = {}, .request_id = known->first, .cancel = true}));
  } else if (active().size() == 1) {
    signal_tool(number);
  } else {
    request.withheld = true;
  }
}

void BazelAdapter::collect(std::uint32_t id, Active& request) {
  files_.erase(id);
  std::erase_if(ids_, [id](const auto& entry) { return entry.second == id; });
  Outcome& outcome = *request.outcome;
  const bool succeeded = outcome.kind == Outcome::Kind::exited && outcome.value == 0;
  for (const auto& relay : request.relays) {
    if (!succeeded || relay->error() == 0 || relay->error() == EPIPE) continue;
    outcome = Outcome::exited(kFailedStatus);
    outcome.reason = "output";
    outcome.message = os::failed_with(relay->error(), "write the tool's output").error().message();
  }
}

int adapt_bazel(const AdapterOptions& options, const BazelCodec& codec) {
  auto socket = Service::inherited_socket();
  if (!socket) return kNoWorkerStatus;
  block_signals();
  return BazelAdapter(options, std::move(*socket), codec).run();
}

}  // namespace

int adapt_bazel_json(const AdapterOptions& options) { return adapt_bazel(options, kBazelJson); }

int adapt_bazel_proto(const AdapterOptions& options) { return adapt_bazel(options, kBazelProto); }

}  // namespace prewarm::coproc
