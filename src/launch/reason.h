// SPDX-License-Identifier: MIT
//
// Why a launch was not served by a warm rung. A reason is a value, with one sentence for people
// (`reason_text`) and one word for machines (`reason_name`); it is never only a line in a log.
#pragma once

#include <cstdint>

namespace prewarm::launch {

// X(name, sentence). The sentence follows "cold: " or a program's name.
#define PREWARM_REASONS(X)                                                                      \
  X(none, "nothing speaks against a warm launch")                                               \
  X(not_parked_yet, "no process was parked for it when it was called")                          \
  X(pool_busy, "all its parked processes were in use")                                          \
  X(called_once, "it was called too seldom for parking to pay")                                 \
  X(warming_disabled, "warming was switched off or its limit is zero")                          \
  X(limit_reached, "the limit of warm processes was reached")                                   \
  X(no_room, "processes, memory or descriptor numbers are too few for parking")                 \
  X(mounts_changed, "something was mounted or unmounted while the script runs")                 \
  X(not_found, "no such command was found on PATH")                                             \
  X(not_a_file, "it is not a regular file that can be executed")                                \
  X(not_elf, "it is a script or another format, not an ELF program")                            \
  X(wrong_machine, "it is a program for another processor or word size")                        \
  X(static_program, "it is statically linked: there is no linking to save")                     \
  X(foreign_libc, "it uses another C library than glibc")                                       \
  X(unusual_entry, "its entry point is not the one that glibc's start-up files give")           \
  X(own_search_path, "it looks for libraries in directories of its own (RPATH or RUNPATH)")     \
  X(set_id, "it is set-user-id, set-group-id or has file capabilities")                         \
  X(untrusted_directory, "it lies outside the directories of installed software")               \
  X(denied, "it is on the list of programs that are never parked")                              \
  X(unreadable, "its file can't be read")                                                       \
  X(opened_descriptors, "it opens descriptors before main, or before it is ready")              \
  X(has_threads, "it starts threads before main, or before it is ready")                        \
  X(locale_missing, "the locale that its environment names is not there, or not whole")         \
  X(acts_early, "it does more before main than read files")                                     \
  X(looks_early, "it looks at its arguments or at its whole environment before main")           \
  X(manifest_full, "it has more libraries than can be watched")                                 \
  X(no_ready_point, "it ended without having said that it is ready")                            \
  X(agent_failed, "it did not park: the agent was not loaded or gave up")                       \
  X(agent_missing, "the agent was not found, is damaged or of another version")                 \
  X(system_refused, "the system refused a resource that parking needs")                         \
  X(died, "its parked process died")                                                            \
  X(file_changed, "the program or a library has changed since it was parked")                   \
  X(variable_changed, "an environment variable that its start-up reads has another value")      \
  X(library_path, "LD_LIBRARY_PATH, LD_AUDIT or another loader variable is set")                \
  X(limits_changed, "resource limits, priority, affinity or group of the shell have changed")   \
  X(shut_directory, "the working directory is one that it could not change to")                 \
  X(request_too_large, "arguments, environment or descriptors exceed what a message can carry") \
  X(too_many_descriptors, "the shell has more descriptors open than a message can carry")       \
  X(background, "it runs in the background, where its process id matters")                      \
  X(other_parent, "its parent would be another process than in a plain launch")                 \
  X(job_control, "job control is on")                                                           \
  X(traced, "xtrace or a DEBUG trap must run in the new process")                               \
  X(side_effects, "its words or redirections have side effects that belong to a subshell")      \
  X(redirection, "one of its redirections has to be done by the shell")                         \
  X(assignments, "it is preceded by assignments in a subshell")                                 \
  X(process_substitution, "it is part of a process substitution or coprocess")                  \
  X(coprocess, "it is declared a coprocess, but could not be run by a worker")                  \
  X(coprocess_descriptors, "it would inherit other descriptors than a worker can be given")     \
  X(exec_builtin, "it was started by the exec builtin")                                         \
  X(restricted, "the shell is restricted, interactive or in privileged mode")                   \
  X(shell_attributes, "the shell wrote to /proc or a cgroup: its attributes may have changed")  \
  X(unsupported_bash, "this build of bash can't be hooked")

enum class Reason : std::uint32_t {
#define PREWARM_REASON_ENUM(name, sentence) name,
  PREWARM_REASONS(PREWARM_REASON_ENUM)
#undef PREWARM_REASON_ENUM
      count_
};

// "called_once". Never null; "unknown" for a value out of range.
const char* reason_name(Reason reason);
// One sentence without a full stop. Never null.
const char* reason_text(Reason reason);

}  // namespace prewarm::launch
