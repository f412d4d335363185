// SPDX-License-Identifier: MIT
//
// A process becomes a program, from the image that the loader service has of it: what `prewarm
// exec` (exec_front.h) and the entries of `prewarm image install` (entry.h) have in common.
//
// Restrictions: raw system calls only; no libc, no allocation, no errno, no thread-local data.
#pragma once

#include "image/map_client.h"
#include "image/refusal.h"
#include "image/restorer_process.h"

namespace prewarm::image {

// Of a path, with the zero byte.
inline constexpr unsigned kPathBytes = 4096;

// The program that the process is to become.
struct ImageStart {
  const char* path = nullptr;  // of the program, to be executed
  char** argv = nullptr;       // the end of the process's own
  bool always = false;         // also where it takes longer than a start without an image
  bool may_be_direct = true;   // without an exec, where that can be: all of argv is on the stack
};

// One that the service has been asked for.
struct AskedStart {
  MapQuestion question;
  bool may_be_direct = false;
};

// The value of a variable, or null.
const char* variable_of(const InitialStack& stack, const char* name_and_equals);

// What is asked of the service for a start.
struct MapWish {
  const char* path = nullptr;        // of the program, to be executed
  const char* preload = "";          // absolute path of what LD_PRELOAD will name; "": it isn't set
  std::uint32_t fewest_regions = 0;  // kFewestFor*
  std::int64_t least_age_s = 0;      // of a file's last change, to have an image made of it
};

// Asks the service for the program's image, and to make one if there is none. Refusal::none:
// `result` is the caller's to close.
Refusal map_program(char* const* environment, const MapWish& wish, MappedImage& result);

// Whether it is the program's image, and may be: one that gets privileges from its file has to be
// executed without anything of ours.
bool is_image_of(const MappedImage& image, const char* path);

// Asks the service; where the start would be through ld.so, only for an image with which that pays.
// Not Refusal::none: it couldn't be asked. Otherwise finish_start or abandon_start has to follow.
Refusal begin_start(const InitialStack& stack, const ImageStart& start, AskedStart& asked);

// Starts the program with what the service answers. `restorer`: path of libprewarm-restore.so.
// Returns why the program hasn't been started from an image; nothing is left open then.
// Refusal::none: there was one, but the program can't be executed with it.
Refusal finish_start(const InitialStack& stack, const ImageStart& start, const AskedStart& asked,
                     const char* restorer);
void abandon_start(const AskedStart& asked);

// The same with this image, whatever it pays. It is closed.
Refusal start_with(const InitialStack& stack, const ImageStart& start, const char* restorer,
                   MappedImage& image);

// Whether somebody may try now to have a service: not if that has been tried a moment ago
// (kStartStampName).
bool service_start_is_due(const InitialStack& stack);

}  // namespace prewarm::image
