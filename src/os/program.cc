// SPDX-License-Identifier: MIT
#include "os/program.h"

#include <sys/stat.h>
#include <unistd.h>

namespace prewarm::os {

bool is_program(const std::string& path) {
  struct stat s;
  return ::stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string find_program(const std::string& name, std::string_view path, Relative relative) {
  if (name.find('/') != std::string::npos) return name;
  for (;;) {
    const auto end = path.find(':');
    const std::string_view directory = path.substr(0, end);
    std::string candidate(directory.empty() ? "." : directory);
    candidate += "/" + name;
    const bool counts = candidate[0] == '/' || relative == Relative::searched;
    if (counts && is_program(candidate)) return candidate;
    if (end == std::string_view::npos) return {};
    path.remove_prefix(end + 1);
  }
}

}  // namespace prewarm::os
