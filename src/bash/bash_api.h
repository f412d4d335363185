// SPDX-License-Identifier: GPL-3.0-or-later
//
// What prewarm uses of bash: the headers that the bash-builtins package installs, and prototypes of
// functions and variables that bash exports but those headers don't declare. Each names the file
// of bash 5.2 that defines it.
#pragma once

extern "C" {
// The order is bash's own: config first.
#include "config.h"
//
#include "bashtypes.h"
//
#include "shell.h"
//
#include "builtext.h"
#include "builtins.h"
#include "command.h"
#include "common.h"
#include "dispose_cmd.h"
#include "execute_cmd.h"
#include "externs.h"
#include "hashlib.h"
#include "jobs.h"
#include "make_cmd.h"
#include "sig.h"
#include "subst.h"
#include "variables.h"

// execute_cmd.c
extern char* this_command_name;
extern char* the_printed_command_except_trap;
// findcmd.c
extern char* search_for_command(const char*, int);
// hashcmd.c
extern HASH_TABLE* hashed_filenames;
extern int hashing_enabled;
extern int check_hashed_filenames;
// trap.c
extern int signal_is_trapped(int);
extern int signal_is_special(int);
extern int signal_is_ignored(int);
extern int any_signals_trapped(void);
extern SigHandler* original_signals[];
extern int running_trap;
// alias.c
extern int expand_aliases;
// flags.c
extern int echo_command_at_execute;
extern int echo_input_at_read;
extern int noclobber;
extern int privileged_mode;
extern int unbound_vars_is_error;
extern int pipefail_opt;
extern int read_but_dont_execute;
extern int function_trace_mode;
extern int error_trace_mode;
extern int debugging_mode;
extern int restricted;
// pathexp.c
extern int fail_glob_expansion;
// variables.c
extern char** export_env;
extern int array_needs_making;
extern HASH_TABLE* temporary_env;
extern void maybe_make_export_env(void);
// error.c
extern char* get_name_for_error(void);
// sig.c
extern sigset_t top_level_mask;
// shell.c
extern int subshell_environment;
extern int interactive;
extern int interactive_shell;
extern int startup_state;
extern int posixly_correct;
extern COMMAND* global_command;
extern pid_t dollar_dollar_pid;
// parse.y
extern COMMAND* parse_string_to_command(char*, int);
// input.c
extern int default_buffered_input;
extern int sync_buffered_stream(int);
// general.c
extern int all_digits(const char*);
}

namespace prewarm::bash {

inline constexpr int kNoPipe = -1;

}  // namespace prewarm::bash
