// SPDX-License-Identifier: MIT
//
// Makes the image of a program: captures it, finds out what belongs to one process alone, packs its
// libraries if there are many, and writes all of it down.
#pragma once

#include <cstdint>
#include <string>

#include "image/refusal.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

enum class Packing { by_number, always, never };

struct BuildOptions {
  Packing packing = Packing::by_number;
  std::uint64_t stack_limit = 0;  // RLIMIT_STACK that the image is for; 0: this process's
  std::string preload;  // absolute path of what LD_PRELOAD is to name; then nothing is packed
};

struct BuildFailure {
  Refusal refusal = Refusal::build_failed;
  Error error;  // what exactly
};

// The image, in a sealed memfd. `path` is absolute; symbolic links in it are followed.
std::expected<os::Fd, BuildFailure> build_image(const std::string& path,
                                                const BuildOptions& options);

}  // namespace prewarm::image
