// SPDX-License-Identifier: GPL-3.0-or-later
//
// The functions that the hooks stand in for.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "bash/bash_api.h"

namespace prewarm::bash {

struct Originals {
  pid_t (*fork)();
  pid_t (*waitpid)(pid_t, int*, int);
  int (*execve)(const char*, char* const*, char* const*);
  int (*chdir)(const char*);
  int (*close)(int);
  int (*dup)(int);
  int (*dup2)(int, int);
  int (*fcntl)(int, int, ...);
  int (*pipe)(int*);
  int (*open)(const char*, int, ...);
  int (*sigaction)(int, const struct sigaction*, struct sigaction*);
  int (*execute_command_internal)(COMMAND*, int, int, int, struct fd_bitmap*);
  WORD_LIST* (*expand_words)(WORD_LIST*);
  char* (*search_for_command)(const char*, int);
  pid_t (*make_child)(char*, int);
  WORD_DESC* (*command_substitute)(char*, int, int);
};

Originals& originals();

// Puts the hooks in place. False: this build of bash can't be hooked; nothing was changed.
bool install_hooks();

}  // namespace prewarm::bash
