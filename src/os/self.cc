// SPDX-License-Identifier: MIT
#include "os/self.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

namespace prewarm::os {

mode_t current_umask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

std::string working_directory() {
  char path[PATH_MAX];
  return ::getcwd(path, sizeof path) == nullptr ? "" : path;
}

std::string absolute_path(const std::string& path) {
  if (path.starts_with('/')) return path;
  std::string directory = working_directory();
  if (directory.empty()) return {};
  return directory + "/" + path;
}

}  // namespace prewarm::os
