// SPDX-License-Identifier: MIT
//
// `prewarm image`: images are made, listed, checked and removed.
#pragma once

#include <string>
#include <vector>

#include "image/build.h"

namespace prewarm::cli {

struct ImageBuildOptions {
  std::string program;
  std::string output;      // --output FILE; empty: the service is asked to keep it
  int to_descriptor = -1;  // for the service's builder: into this memfd; see image/spawner.h
  image::Packing packing = image::Packing::by_number;
  bool json = false;
};

int image_build(const ImageBuildOptions& options);

}  // namespace prewarm::cli
