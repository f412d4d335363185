// SPDX-License-Identifier: MIT
//
// The C interface: commands and processes.
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "cold/c_api.h"
#include "prewarm/command.h"

using prewarm::CaptureOptions;
using prewarm::Command;
using prewarm::Exit;
using prewarm::Fd;
using prewarm::Output;
using prewarm::Process;
using prewarm::Result;
using prewarm::Signals;
using prewarm::Stdio;
using prewarm::cold::from_c;
using prewarm::cold::is_operation;
using prewarm::cold::to_c;

struct prewarm_process {
  Process process;
};

struct prewarm_command {
  Command command;
  std::string error;
};

namespace {

static_assert(PREWARM_SIGNALS_ALL_DEFAULT == static_cast<int>(Signals::all_default));

// What the C++ side takes for a bad argument, in place of a null pointer.
std::string text(const char* given) { return given != nullptr ? given : std::string(1, '\0'); }

prewarm_exit exit_to_c(const Exit& from) {
  return {from.status.wait_status(), from.timed_out ? 1 : 0, from.usage, {}};
}

char* copy_bytes(const std::string& from) {
  char* copy = new char[from.size() + 1];
  std::memcpy(copy, from.c_str(), from.size() + 1);
  return copy;
}

prewarm_output* output_to_c(const Output& from) {
  return new prewarm_output{exit_to_c(from),      copy_bytes(from.out), from.out.size(),
                            copy_bytes(from.err), from.err.size(),      from.truncated ? 1 : 0};
}

CaptureOptions options_from_c(const prewarm_capture_options* given) {
  const auto from =
      prewarm::cold::take_options(given, prewarm_capture_options PREWARM_CAPTURE_OPTIONS_INIT);
  CaptureOptions options;
  if (from.input != nullptr)
    options.input = {static_cast<const char*>(from.input), from.input_size};
  options.max_bytes = from.max_bytes;
  options.kill_when_full = from.kill_when_full != 0;
  if (from.timeout_ms >= 0) options.timeout = std::chrono::milliseconds(from.timeout_ms);
  return options;
}

Fd* stream_of(Process& process, prewarm_stream stream) {
  switch (stream) {
    case PREWARM_IN:
      return &process.in();
    case PREWARM_OUT:
      return &process.out();
    case PREWARM_ERR:
      return &process.err();
  }
  return nullptr;
}

void set_stream(prewarm_command* command, prewarm_stream stream, Stdio how) {
  if (command == nullptr) return;
  switch (stream) {
    case PREWARM_IN:
      command->command.in(std::move(how));
      return;
    case PREWARM_OUT:
      command->command.out(std::move(how));
      return;
    case PREWARM_ERR:
      command->command.err(std::move(how));
      return;
  }
  command->command.in(Stdio::descriptor(-1));  // remembered as a bad argument
}

// Remembers what a failure has to say.
int failed(prewarm_command* command, const prewarm::Error& error) {
  command->error = error.message();
  return to_c(error);
}

}  // namespace

prewarm_process* prewarm_process_adopt(pid_t pid, int pidfd) {
  return new prewarm_process{Process(pid, Fd(pidfd))};
}

void prewarm_process_free(prewarm_process* process) { delete process; }

pid_t prewarm_process_pid(const prewarm_process* process) {
  return process != nullptr ? process->process.pid() : -1;
}

int prewarm_process_pidfd(const prewarm_process* process) {
  return process != nullptr ? process->process.pidfd() : -1;
}

int prewarm_process_stream(const prewarm_process* process, enum prewarm_stream stream) {
  if (process == nullptr) return -1;
  const Fd* fd = stream_of(const_cast<prewarm_process*>(process)->process, stream);
  return fd != nullptr ? fd->get() : -1;
}

int prewarm_process_take_stream(prewarm_process* process, enum prewarm_stream stream) {
  if (process == nullptr) return -1;
  Fd* fd = stream_of(process->process, stream);
  return fd != nullptr ? fd->release() : -1;
}

void prewarm_process_close_stream(prewarm_process* process, enum prewarm_stream stream) {
  if (process == nullptr) return;
  if (Fd* fd = stream_of(process->process, stream)) fd->reset();
}

int prewarm_process_wait(prewarm_process* process, int timeout_ms, prewarm_exit* exit) {
  if (process == nullptr) return -EFAULT;
  if (timeout_ms < 0) {
    const auto ended = process->process.wait();
    if (!ended) return to_c(ended.error());
    if (exit != nullptr) *exit = exit_to_c(*ended);
    return 1;
  }
  const auto ended = process->process.wait_for(std::chrono::milliseconds(timeout_ms));
  if (!ended) return to_c(ended.error());
  if (!*ended) return 0;
  if (exit != nullptr) *exit = exit_to_c(**ended);
  return 1;
}

int prewarm_process_kill(prewarm_process* process, int signal) {
  if (process == nullptr) return -EFAULT;
  const auto sent = process->process.kill(signal);
  return sent ? 0 : to_c(sent.error());
}

int prewarm_process_capture(prewarm_process* process, const prewarm_capture_options* options,
                            prewarm_output** output) {
  if (process == nullptr || output == nullptr) return -EFAULT;
  *output = nullptr;
  const auto captured = process->process.capture(options_from_c(options));
  if (!captured) return to_c(captured.error());
  *output = output_to_c(*captured);
  return 0;
}

void prewarm_output_free(prewarm_output* output) {
  if (output == nullptr) return;
  delete[] output->out;
  delete[] output->err;
  delete output;
}

prewarm_command* prewarm_command_new(const char* program) {
  return new prewarm_command{Command(text(program)), {}};
}

void prewarm_command_free(prewarm_command* command) { delete command; }

void prewarm_command_arg(prewarm_command* command, const char* argument) {
  if (command != nullptr) command->command.arg(text(argument));
}

void prewarm_command_args(prewarm_command* command, const char* const arguments[]) {
  if (arguments == nullptr) return prewarm_command_arg(command, nullptr);
  for (; *arguments != nullptr; ++arguments) prewarm_command_arg(command, *arguments);
}

void prewarm_command_argv0(prewarm_command* command, const char* name) {
  if (command != nullptr) command->command.argv0(text(name));
}

void prewarm_command_env(prewarm_command* command, const char* name, const char* value) {
  if (command != nullptr) command->command.env(text(name), text(value));
}

void prewarm_command_unset_env(prewarm_command* command, const char* name) {
  if (command != nullptr) command->command.unset_env(text(name));
}

void prewarm_command_clear_env(prewarm_command* command) {
  if (command != nullptr) command->command.clear_env();
}

void prewarm_command_inherit_stream(prewarm_command* command, enum prewarm_stream stream) {
  set_stream(command, stream, Stdio::inherit());
}

void prewarm_command_null(prewarm_command* command, enum prewarm_stream stream) {
  set_stream(command, stream, Stdio::null());
}

void prewarm_command_pipe(prewarm_command* command, enum prewarm_stream stream) {
  set_stream(command, stream, Stdio::pipe());
}

void prewarm_command_file(prewarm_command* command, enum prewarm_stream stream, const char* path,
                          int flags, mode_t mode) {
  set_stream(command, stream, Stdio::file(text(path), flags, mode));
}

void prewarm_command_descriptor(prewarm_command* command, enum prewarm_stream stream, int fd) {
  set_stream(command, stream, Stdio::descriptor(fd));
}

void prewarm_command_closed(prewarm_command* command, enum prewarm_stream stream) {
  set_stream(command, stream, Stdio::closed());
}

void prewarm_command_err_to_out(prewarm_command* command) {
  set_stream(command, PREWARM_ERR, Stdio::output());
}

void prewarm_command_inherit(prewarm_command* command, int source, int target) {
  if (command != nullptr) command->command.inherit(source, target);
}

void prewarm_command_directory(prewarm_command* command, const char* path) {
  if (command != nullptr) command->command.directory(text(path));
}

void prewarm_command_setup(prewarm_command* command, const prewarm_operation* operation) {
  if (command == nullptr) return;
  const bool good = operation != nullptr && is_operation(*operation);
  // A clone is remembered as a bad argument.
  command->command.setup(good ? from_c(*operation) : prewarm::op::clone());
}

void prewarm_command_signals(prewarm_command* command, enum prewarm_signals how) {
  if (command != nullptr) command->command.signals(static_cast<Signals>(how));
}

void prewarm_command_timeout(prewarm_command* command, int timeout_ms) {
  if (command == nullptr) return;
  if (timeout_ms < 0) {
    command->command.timeout({});
  } else {
    command->command.timeout(std::chrono::milliseconds(timeout_ms));
  }
}

void prewarm_command_kill_on_drop(prewarm_command* command, int yes) {
  if (command != nullptr) command->command.kill_on_drop(yes != 0);
}

void prewarm_command_kill_group(prewarm_command* command) {
  if (command != nullptr) command->command.kill_group();
}

int prewarm_command_spawn(prewarm_command* command, prewarm_process** process) {
  if (command == nullptr || process == nullptr) return -EFAULT;
  *process = nullptr;
  auto spawned = command->command.spawn();
  if (!spawned) return failed(command, spawned.error());
  *process = new prewarm_process{*std::move(spawned)};
  return 0;
}

int prewarm_command_run(prewarm_command* command, prewarm_exit* exit) {
  if (command == nullptr) return -EFAULT;
  const auto ended = command->command.run();
  if (!ended) return failed(command, ended.error());
  if (exit != nullptr) *exit = exit_to_c(*ended);
  return 0;
}

int prewarm_command_capture(prewarm_command* command, const prewarm_capture_options* options,
                            prewarm_output** output) {
  if (command == nullptr || output == nullptr) return -EFAULT;
  *output = nullptr;
  const auto captured = command->command.capture(options_from_c(options));
  if (!captured) return failed(command, captured.error());
  *output = output_to_c(*captured);
  return 0;
}

const char* prewarm_command_error(const prewarm_command* command) {
  return command != nullptr ? command->error.c_str() : "";
}
