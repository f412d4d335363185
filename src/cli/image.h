// SPDX-License-Identifier: MIT
//
// `prewarm image`: images are made, listed, checked and removed. Each returns the exit status.
#pragma once

#include <string>
#include <vector>

#include "image/build.h"

namespace prewarm::cli {

struct ImageBuildOptions {
  std::string program;
  std::string output;  // --output FILE; empty: the service is asked to keep it
  // For the service's builder (image/spawner.h): into this memfd, and with this in LD_PRELOAD.
  int to_descriptor = -1;
  std::string preload;
  image::Packing packing = image::Packing::by_number;
  bool json = false;
};

int image_build(const ImageBuildOptions& options);

// image_list.cc. Without a running service: what is on the disk.
int image_list(bool json);
// `program`: of this one only; empty: all.
int image_verify(const std::string& program, bool json);
int image_collect_garbage(bool json);
int image_remove(const std::string& program, bool json);

}  // namespace prewarm::cli
