// SPDX-License-Identifier: MIT
//
// What the mirror looks at, one function per area. Each adds its lines to the report; the order of
// the calls matters only where said, because some observations change the process (they are made
// last). See main.cc.
#pragma once

#include "options.h"
#include "report.h"

namespace mirror {

// What main was called with, and what was found before it did anything at all.
struct Start {
  int argc;
  char** argv;
  char** envp;
  int errno_at_main;
  unsigned short x87_control_word;
  unsigned int sse_control_word;
};

// arguments.cc
void observe_arguments(Report& report, const Start& start);
void observe_environment(Report& report, const Start& start);
void observe_names(Report& report, const Start& start);
// auxv.cc
void observe_auxv(Report& report, const Start& start);
// files.cc
void observe_directories(Report& report);
void observe_descriptors(Report& report);
void observe_standard_streams(Report& report);
// signals.cc
void observe_signals(Report& report);
// limits.cc
void observe_limits(Report& report);
void observe_scheduling(Report& report);
void observe_timers(Report& report);
// attributes.cc
void observe_attributes(Report& report);
void observe_capabilities(Report& report);
void observe_system_view(Report& report);
// identity.cc
void observe_users(Report& report);
void observe_relatives(Report& report, const Options& options);
void observe_keyrings(Report& report);
// libc.cc: sets the locale
void observe_libc(Report& report, const Start& start);
void observe_locale(Report& report);
void observe_memory(Report& report);
// threads.cc: starts threads at its end
void observe_thread_identity(Report& report);
void observe_stack(Report& report, const Start& start);
void observe_new_threads(Report& report);
// sections.cc: what isn't in the default report
void observe_canary(Report& report);
void observe_maps(Report& report);
void observe_usage(Report& report);
void observe_child(Report& report);
int list_loader_variables(const Start& start);
// constructor.cc
void observe_constructor(Report& report, const Start& start);

// exit_order.cc: at exit, appends the order in which exit handlers ran to `output` (or stdout).
void register_exit_handlers(const std::string& output);

}  // namespace mirror
