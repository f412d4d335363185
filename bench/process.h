// SPDX-License-Identifier: MIT
//
// Running the commands that are measured, one at a time. Everything here belongs to a program of
// its own: it takes over signals and the care for orphans of the whole process.
//
// Who waits: the caller, in `run` and `wait_readable`. SIGINT, SIGTERM and SIGHUP end every wait
// with EINTR; `stop_signal` then says which it was.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::bench {

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up on PATH
  std::vector<std::string> env;
  int processor = -1;  // the only one it may run on; -1: any
  std::chrono::seconds limit{60};
};

struct Outcome {
  std::string output;     // what it wrote to stdout
  double elapsed_us = 0;  // from just before its start until it was waited for
};

// Descriptors that become 0, 1 and 2 of a command; no others are inherited.
struct Standard {
  int input;
  int output;
  int error;
};

class Processes {
 public:
  // Blocks the signals above, and adopts orphans: whatever a command leaves behind becomes a child
  // of this process.
  static os::Result<Processes> take_over();

  // Runs `command` with /dev/null for input until it and all that it started have ended; what it
  // leaves behind is ended by force, and an error. So is a status other than 0, any output on
  // stderr, or taking longer than its limit. There must be no other child.
  os::Result<Outcome> run(const Command& command);

  // Starts `command` in a process group of its own.
  os::Result<pid_t> spawn(const Command& command, const Standard& standard);
  // True once `fd` is readable, false after `limit`.
  os::Result<bool> wait_readable(int fd, std::chrono::milliseconds limit);

  // The signal that asked for the end; 0 if none did.
  int stop_signal() const { return stop_signal_; }

 private:
  os::Result<int> await_end(pid_t pid, const Command& command);
  os::Result<void> await_orphans(const std::string& command);

  os::Fd signals_;
  sigset_t original_mask_{};
  int stop_signal_ = 0;
};

// An unnamed file for output, and its text.
os::Result<os::Fd> make_output();
std::string read_output(const os::Fd& file);

// "ended with status 3", "was killed by SIGKILL"; empty for status 0.
std::string status_text(int wait_status);

// A directory that goes when its owner does.
class TemporaryDirectory {
 public:
  static os::Result<TemporaryDirectory> make();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::move(other.path_)) {
    other.path_.clear();
  }
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

os::Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace prewarm::bench
