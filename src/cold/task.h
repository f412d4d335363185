// SPDX-License-Identifier: MIT
//
// The system calls that make a task, in a form that lets the task run on a stack of its own: what
// returns twice can't be written in C++. One file for each processor.
#pragma once

#include <linux/sched.h>

#include "cold/plan.h"

namespace prewarm::cold {

// clone3(2). The task runs the chain and never returns here; the caller gets its pid, or -errno.
long clone3_task(const clone_args& arguments, std::size_t size, Chain& chain);

// clone(2), with the upper end of the task's stack. `pidfd` is written with CLONE_PIDFD.
long clone_task(unsigned long flags, void* stack_top, int* pidfd, void* child_word, Chain& chain);

}  // namespace prewarm::cold
