// SPDX-License-Identifier: MIT
//
// `prewarm exec` as far as image/exec_front.h leaves it to the command: its options, its errors,
// and starting the loader service.
#pragma once

#include <string>
#include <vector>

namespace prewarm::cli {

struct ExecOptions {
  std::string image;    // --image: this one, from a file
  std::string path;     // --path: the program's file, whatever the command's first word is
  bool wait = false;    // --wait: until there is an image
  bool always = false;  // --always: an image is used even where a start without is faster
  bool explain = false;
  std::vector<std::string> command;
};

// Becomes the program. Returns only with 126 or 127: it can't be executed, or wasn't found.
int exec_program(const ExecOptions& options);

}  // namespace prewarm::cli
