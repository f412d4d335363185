// SPDX-License-Identifier: MIT
//
// Where the kernel enters the command: `prewarm exec` is done before the C library is initialised,
// which takes several times as long (CPUID alone, in a virtual machine); everything else goes the
// usual way.
#if defined(__x86_64__)
asm(".text\n"
    ".globl prewarm_entry\n"
    ".type prewarm_entry, @function\n"
    "prewarm_entry:\n"
    "  mov %rsp, %rdi\n"
    "  push %rdx\n"  // what _start gets from a dynamic linker
    "  sub $8, %rsp\n"
    "  call prewarm_exec_front\n"
    "  add $8, %rsp\n"
    "  pop %rdx\n"
    "  jmp _start\n"
    ".size prewarm_entry, . - prewarm_entry\n");
#else
#error "prewarm knows no entry for this processor"
#endif
