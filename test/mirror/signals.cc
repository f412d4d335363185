// SPDX-License-Identifier: MIT
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "observe.h"
#include "proc.h"

namespace mirror {
namespace {

// The kernel's own structure: libc's sigaction() hides the signals it uses itself (32, 33), and
// the restorer.
struct KernelSigaction {
  std::uintptr_t handler;
  unsigned long flags;
  std::uintptr_t restorer;
  std::uint64_t mask;
};

std::string disposition_text(int signal) {
  KernelSigaction action{};
  if (syscall(SYS_rt_sigaction, signal, nullptr, &action, sizeof action.mask) != 0) {
    return error_text(errno);
  }
  const std::uintptr_t handler = action.handler;
  std::string text = handler == 0 ? "default" : handler == 1 ? "ignore" : "handler";
  text += " flags " + hexadecimal(action.flags) + " mask " + hexadecimal(action.mask);
  return text + (action.restorer == 0 ? " no restorer" : " restorer");
}

std::string raw_mask(long call) {
  std::uint64_t set = 0;
  const long result = call == SYS_rt_sigprocmask
                          ? syscall(call, SIG_BLOCK, nullptr, &set, sizeof set)
                          : syscall(call, &set, sizeof set);
  return result == 0 ? hexadecimal(set) : error_text(errno);
}

void observe_alternate_stack(Report& report) {
  stack_t stack{};
  if (sigaltstack(nullptr, &stack) != 0) {
    report.add_error("signal.altstack", errno);
    return;
  }
  report.add("signal.altstack", "flags " + std::to_string(stack.ss_flags) + " size " +
                                    std::to_string(stack.ss_size) +
                                    (stack.ss_sp == nullptr ? " no address" : " address"));
}

}  // namespace

void observe_signals(Report& report) {
  report.add("signal.blocked", raw_mask(SYS_rt_sigprocmask));
  report.add("signal.pending", raw_mask(SYS_rt_sigpending));
  const auto status = read_file("/proc/self/status").value_or("");
  for (const char* const field : {"SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"}) {
    report.add(std::string("signal.status.") + field,
               field_value(status, field).value_or("unknown"));
  }
  for (unsigned signal = 1; signal <= 64; ++signal) {
    report.add("signal.action." + padded(signal, 2), disposition_text(static_cast<int>(signal)));
  }
  observe_alternate_stack(report);
}

}  // namespace mirror
