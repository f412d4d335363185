// SPDX-License-Identifier: MIT
#include "os/signal_queue.h"

#include <unistd.h>

namespace prewarm::os {

sigset_t signal_set(std::initializer_list<int> numbers) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : numbers) ::sigaddset(&set, number);
  return set;
}

SignalQueue::SignalQueue(const sigset_t& set) {
  ::sigprocmask(SIG_BLOCK, &set, &before_);
  fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::optional<signalfd_siginfo> SignalQueue::next() {
  signalfd_siginfo info;
  const auto n = ::read(fd_.get(), &info, sizeof info);
  return n == static_cast<ssize_t>(sizeof info) ? std::optional(info) : std::nullopt;
}

void SignalQueue::restore() {
  fd_.reset();
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace prewarm::os
