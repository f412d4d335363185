// SPDX-License-Identifier: MIT
//
// Where the service finds images on the disk, and puts them.
#pragma once

#include <string>
#include <vector>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

class ImageShelf {
 public:
  virtual ~ImageShelf() = default;

  // Names of the images of the program at this path, the latest first. Fast.
  virtual std::vector<std::string> find(const std::string& program) = 0;
  // Slow, for a helper. The image, in a memfd.
  virtual os::Result<os::Fd> get(const std::string& name) = 0;
  virtual os::Result<std::string> put(const os::Fd& memfd) = 0;
  virtual void remove(const std::string& name) = 0;
  // Removes what is too much. The number of images that went.
  virtual std::uint64_t collect_garbage() = 0;
};

}  // namespace prewarm::image
