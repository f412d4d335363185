// SPDX-License-Identifier: MIT
//
// The task gets copies of all registers but the result and the stack pointer. So it finds the chain
// and the function to run in the registers where the compiler has put them, and the stack, which is
// aligned to 16 bytes, is as a call wants it. It never gets past the call.
#include <sys/syscall.h>

#include "cold/executor.h"
#include "cold/task.h"
#include "os/raw_syscall.h"

namespace prewarm::cold {
namespace {

using os::arg;

// System call `number`, which makes a task that goes on with a stack of its own.
long make_task(Chain& chain, long number, long a, long b, long c = 0, long d = 0, long e = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov %[chain], %%rdi\n\t"
      "call *%[run]\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10),
        "r"(r8), [chain] "r"(&chain), [run] "r"(&run_chain)
      : "rcx", "r11", "cc", "memory");
  return result;
}

}  // namespace

long clone3_task(const clone_args& arguments, std::size_t size, Chain& chain) {
  return make_task(chain, SYS_clone3, arg(&arguments), static_cast<long>(size));
}

long clone_task(unsigned long flags, void* stack_top, int* pidfd, void* child_word, Chain& chain) {
  constexpr long kNoThreadStorage = 0;  // of its own
  return make_task(chain, SYS_clone, static_cast<long>(flags), arg(stack_top), arg(pidfd),
                   arg(child_word), kNoThreadStorage);
}

}  // namespace prewarm::cold
