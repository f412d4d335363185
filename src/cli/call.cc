// SPDX-License-Identifier: MIT
//
// `prewarm call`: runs a tool by one of its workers, or as the process that it would have been.
#include "cli/call.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "cli/call_each.h"
#include "cli/commands.h"
#include "cli/locate.h"
#include "coproc/batch_proxy.h"
#include "coproc/declarations.h"
#include "coproc/owner_client.h"
#include "coproc/proxy.h"
#include "os/argv.h"
#include "os/self.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

constexpr int kNotFound = 127;
constexpr int kNotExecutable = 126;

// The tool's file, as a shell finds it; empty, and said why with the status, if there is none.
std::string find_tool(const std::string& name, int& status) {
  const bool is_path = name.find('/') != std::string::npos;
  std::string path = is_path ? name : find_on_path(name);
  struct stat s;
  if (path.empty() || ::stat(path.c_str(), &s) != 0) {
    complain("call: can't run " + name + ": " +
             (is_path ? std::strerror(errno) : "it is not on PATH"));
    status = kNotFound;
    return {};
  }
  if (!S_ISREG(s.st_mode) || ::access(path.c_str(), X_OK) != 0) {
    complain("call: can't run " + path + ": " +
             (S_ISDIR(s.st_mode) ? "it is a directory" : "it is not executable"));
    status = kNotExecutable;
    return {};
  }
  return path;
}

std::chrono::milliseconds time_of(const CallOptions& options) {
  return std::chrono::milliseconds(std::llround(options.timeout * 1000));
}

// Somebody must stay to look at the time.
int run_for_a_time(const CallOptions& options, const std::string& program) {
  const auto start = [&] {
    Command command(program);
    command.argv0(options.command[0]);
    for (std::size_t i = 1; i < options.command.size(); ++i) command.arg(options.command[i]);
    auto process = command.spawn();
    if (process || process.error().code != ENOEXEC) return process;
    Command shell("/bin/sh");
    shell.argv0("sh").arg(program);
    for (std::size_t i = 1; i < options.command.size(); ++i) shell.arg(options.command[i]);
    return shell.spawn();
  };
  const auto outcome = coproc::stand_for_process(start, time_of(options));
  if (!outcome) {
    complain("call: can't run " + program + ": " + outcome.error().message());
    return kNotExecutable;
  }
  if (!outcome->message.empty()) complain("call: " + program + ": " + outcome->message);
  coproc::end_like(*outcome);
}

int run_batch(const CallOptions& options, const std::string& program, const std::string& why) {
  if (options.explain) complain("call: " + program + " runs as a batch process: " + why);
  if (!options.batch) {
    complain("call: no worker serves " + program + ": " + why);
    return coproc::kFailedStatus;
  }
  if (options.timeout > 0) return run_for_a_time(options, program);
  auto argv = os::pointers(options.command);
  ::execv(program.c_str(), argv.data());
  if (errno == ENOEXEC) {  // a script without a first line that names its interpreter
    argv.insert(argv.begin(), const_cast<char*>("sh"));
    argv[1] = const_cast<char*>(program.c_str());
    ::execv("/bin/sh", argv.data());
  }
  complain("call: can't run " + program + ": " + std::strerror(errno));
  return kNotExecutable;
}

int serve_once(const CallOptions& options, coproc::Client& owner,
               const coproc::Invocation& invocation) {
  const auto outcome = coproc::stand_for(owner, invocation);
  if (!outcome) {
    complain("call: lost the owner of the pools while " + invocation.program +
             " ran; whether it came to its end isn't known (" + outcome.error().message() + ")");
    return coproc::kFailedStatus;
  }
  if (!outcome->was_run()) {
    return run_batch(options, invocation.program, outcome->message);
  }
  if (options.explain) complain("call: " + invocation.program + " was served by a worker");
  if (!outcome->message.empty()) complain("call: " + invocation.program + ": " + outcome->message);
  coproc::end_like(*outcome);
}

}  // namespace

int call(const CallOptions& options) {
  if (options.command.empty()) {
    complain("call: say which tool to run; see prewarm call --help");
    return kUsageError;
  }
  int status = 0;
  const std::string program = find_tool(options.command[0], status);
  if (program.empty()) return status;

  const bool has_streams =
      ::fcntl(0, F_GETFD) >= 0 && ::fcntl(1, F_GETFD) >= 0 && ::fcntl(2, F_GETFD) >= 0;
  if (!has_streams && !options.each) {
    // That it has none can't be told to a worker.
    return run_batch(options, program, "not all of its standard streams are open");
  }
  const auto argv = os::pointers(options.command);
  auto invocation = coproc::invocation_from_here(program, argv.data(), environ);
  if (!invocation) return run_batch(options, program, invocation.error().message());
  invocation->affinity = options.affinity;
  invocation->workers = options.pool;
  invocation->preload = options.preload;
  invocation->declarations =
      options.declarations.empty() ? coproc::declarations_path() : absolute(options.declarations);
  if (options.timeout > 0) {
    invocation->timeout = time_of(options);
  }
  auto owner = coproc::connect_to_owner(find_command());
  if (options.each) return call_each(options, std::move(*invocation), std::move(owner));
  if (!owner) return run_batch(options, program, owner.error().message());
  return serve_once(options, *owner, *invocation);
}

}  // namespace prewarm::cli
