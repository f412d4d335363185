// SPDX-License-Identifier: MIT
//
// The task gets copies of all registers but the result and the stack pointer. So it finds the chain
// and the function to run in the registers where the compiler has put them, and the stack, which is
// aligned to 16 bytes, is as a call wants it. It never gets past the call.
#include <sys/syscall.h>

#include "cold/executor.h"
#include "cold/task.h"

namespace prewarm::cold {

long clone3_task(const clone_args& arguments, std::size_t size, Chain& chain) {
  long result;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov %[chain], %%rdi\n\t"
      "call *%[run]\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(static_cast<long>(SYS_clone3)), "D"(&arguments),
        "S"(size), [chain] "r"(&chain), [run] "r"(&run_chain)
      : "rcx", "r11", "cc", "memory");
  return result;
}

long clone_task(unsigned long flags, void* stack_top, int* pidfd, void* child_word, Chain& chain) {
  long result;
  register void* r10 asm("r10") = child_word;
  register long r8 asm("r8") = 0;  // no thread-local storage of its own
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "mov %[chain], %%rdi\n\t"
      "call *%[run]\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(static_cast<long>(SYS_clone)), "D"(flags), "S"(stack_top), "d"(pidfd), "r"(r10),
        "r"(r8), [chain] "r"(&chain), [run] "r"(&run_chain)
      : "rcx", "r11", "cc", "memory");
  return result;
}

}  // namespace prewarm::cold
