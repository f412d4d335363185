// SPDX-License-Identifier: MIT
//
// What is in a posix_spawn_file_actions_t of the C library, for which it has no functions to ask.
//
// glibc keeps an array of fixed-size records behind it (struct __spawn_action in its
// posix/spawn_int.h). Programs hold the outer object, so its layout is ABI; the records have been
// the same since addchdir_np came in 2.29, and only kinds were added: closefrom in 2.34, tcsetpgrp
// in 2.35. Nothing promises that they stay so: `file_actions` looks at an object that the C library
// itself has filled before it believes any.
#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>

namespace prewarm::cold {

struct FileAction {
  enum class Kind : int { close, dup, open, chdir, fchdir, close_from, foreground };
  struct Descriptors {
    int fd;
    int to;  // of dup
  };
  Kind kind;
  union {
    Descriptors of;         // of all but chdir
    const char* directory;  // of chdir
  };
  // Of open:
  const char* path;
  int flags;
  mode_t mode;
};
static_assert(sizeof(FileAction) == 32 && offsetof(FileAction, of) == 8 &&
              offsetof(FileAction, directory) == 8 && offsetof(FileAction, path) == 16 &&
              offsetof(FileAction, flags) == 24 && offsetof(FileAction, mode) == 28);

// The actions in their order; they belong to `object`, which may be null. Nothing: it holds what
// this code doesn't know, or the C library has another layout.
std::optional<std::span<const FileAction>> file_actions(const posix_spawn_file_actions_t* object);

}  // namespace prewarm::cold
