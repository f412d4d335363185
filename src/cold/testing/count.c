// SPDX-License-Identifier: MIT
//
// For tests only: a program that ends at once; its status is how many arguments it has. Without a C
// library, because tests that start hundreds of thousands of it are then over sooner.
__asm__(
    ".globl _start\n"
    "_start:\n\t"
    "mov (%rsp), %rdi\n\t"
    "mov $231, %eax\n\t"  // exit_group
    "syscall\n\t"
    "ud2\n");
