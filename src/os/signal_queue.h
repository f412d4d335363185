// SPDX-License-Identifier: MIT
//
// Signals as something to read (signalfd(2)), for loops that poll.
#pragma once

#include <signal.h>
#include <sys/signalfd.h>

#include <initializer_list>
#include <optional>

#include "os/fd.h"

namespace prewarm::os {

sigset_t signal_set(std::initializer_list<int> numbers);

class SignalQueue {
 public:
  // Blocks `set` in this thread. Not valid if the system has no descriptor left for it: then the
  // signals wait.
  explicit SignalQueue(const sigset_t& set);

  bool valid() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  // The mask before.
  const sigset_t& before() const { return before_; }
  // The next one that has come; nothing: none has. Doesn't wait.
  std::optional<signalfd_siginfo> next();
  // Sets that mask again; what has come and was not read is delivered. The queue is closed.
  void restore();

 private:
  Fd fd_;
  sigset_t before_{};
};

}  // namespace prewarm::os
