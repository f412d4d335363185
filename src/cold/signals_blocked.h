// SPDX-License-Identifier: MIT
//
// While an object of this lives, all signals of the calling thread are blocked, those too that libc
// keeps to itself. For a moment only: libc's setuid waits until each thread has handled its signal.
#pragma once

#include <signal.h>

#include <cstdint>

#include "os/raw_syscall.h"

namespace prewarm::cold {

class SignalsBlocked {
 public:
  SignalsBlocked() {
    const std::uint64_t all = ~std::uint64_t{0};
    os::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, os::arg(&all), os::arg(&before_), sizeof all);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() {
    os::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, os::arg(&before_), 0, sizeof before_);
  }

  // The kernel's form of the mask that holds again afterwards.
  std::uint64_t before() const { return before_; }

 private:
  std::uint64_t before_ = 0;
};

}  // namespace prewarm::cold
