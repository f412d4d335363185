// SPDX-License-Identifier: MIT
//
// A child process that is never left behind, and the signals that end the demo.

#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "prewarm/fd.h"
#include "result.h"

namespace lambda {

struct SpawnRequest {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH
  std::vector<std::string> env;
  sigset_t signal_mask;
};

// A child in a process group of its own, with /dev/null for input and an
// unnamed file for stdout and stderr. Destroying it ends the group.
class Child {
 public:
  static Result<Child> spawn(const SpawnRequest& request);
  Child() = default;
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  // Readable once the child has exited. Valid until reaped.
  int exit_fd() const { return pidfd_.get(); }
  bool is_running() const { return pid_ > 0; }

  // Reaps a child that has exited; blocks if it hasn't. Its pid and exit_fd()
  // are gone afterwards. Returns for example "ended with status 1", or nothing
  // for status 0.
  std::optional<std::string> reap();

  // Ends the whole group, politely and then by force, and reaps the child.
  void kill_group();

  // The last lines that it wrote to stdout and stderr.
  std::string last_output() const;

 private:
  bool wait_for_exit(std::chrono::milliseconds limit) const;

  pid_t pid_ = 0;  // also its process group; 0 once reaped
  prewarm::Fd pidfd_;
  prewarm::Fd output_;
};

// Takes SIGINT, SIGTERM and SIGHUP for this process: from then on they only
// make fd() readable. Create before any thread, so that all threads agree.
class StopSignals {
 public:
  static Result<StopSignals> take();

  int fd() const { return fd_.get(); }
  // The signal that arrived; 0 if none.
  int read_signal() const;
  // The signal mask from before take(), for children.
  const sigset_t& original_mask() const { return original_mask_; }

 private:
  prewarm::Fd fd_;
  sigset_t original_mask_;
};

}  // namespace lambda
