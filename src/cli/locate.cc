// SPDX-License-Identifier: MIT
#include "cli/locate.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "os/program.h"
#include "os/self.h"
#include "park/part.h"
#include "prewarm_config.h"

namespace prewarm::cli {
namespace {

std::string own_directory() {
  const std::string file = find_command();
  return file.substr(0, file.rfind('/') + 1);
}

// The first of these files that is the part, whole.
template <std::size_t N>
std::string first_whole(const std::string (&candidates)[N], park::Part part) {
  for (const auto& c : candidates) {
    if (park::is_part(c.c_str(), part)) return c;
  }
  return {};
}

// Beside the command, or where it is installed; without "..", for whom it is told to.
std::string find_beside(const char* name, int mode) {
  const std::string here = own_directory();
  for (const std::string& directory :
       {here, here + "../lib/prewarm/", std::string(PREWARM_INSTALL_LIBDIR) + "/prewarm/"}) {
    char real[PATH_MAX];
    const std::string path = directory + name;
    if (::access(path.c_str(), mode) == 0 && ::realpath(path.c_str(), real) != nullptr) return real;
  }
  return {};
}

}  // namespace

std::string find_command() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return n <= 0 ? std::string() : std::string(path, static_cast<std::size_t>(n));
}

std::string find_loadable() {
  const std::string here = own_directory();
  return first_whole(
      {here + "prewarm.so", here + "../lib/bash/prewarm", std::string(PREWARM_INSTALL_LOADABLE)},
      park::Part::loadable);
}

std::string find_agent() {
  const std::string here = own_directory();
  return first_whole({here + "libprewarm-agent.so", here + "../lib/prewarm/libprewarm-agent.so",
                      std::string(PREWARM_INSTALL_AGENT)},
                     park::Part::agent);
}

std::string find_service() { return find_beside("prewarmd", X_OK); }
std::string find_restorer() { return find_beside("libprewarm-restore.so", R_OK); }
std::string find_entry_template() { return find_beside("prewarm-entry", R_OK); }

std::string find_bench_programs() {
  const std::string here = own_directory();
  for (const std::string& directory :
       {here, here + "../lib/prewarm/", std::string(PREWARM_INSTALL_LIBDIR) + "/prewarm/"}) {
    const auto has = [&](const char* name) {
      return ::access((directory + name).c_str(), X_OK) == 0;
    };
    if (!has("prewarm-child-static") || !has("prewarm-child-dynamic")) continue;
    char real[PATH_MAX];
    return ::realpath(directory.c_str(), real) != nullptr ? real : "";
  }
  return {};
}

std::string find_bash() {
  std::string found = find_on_path("bash");
  if (!found.empty()) return found;
  return ::access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "";
}

std::string find_on_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  return os::find_program(name, path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path);
}

std::string absolute(const std::string& path) {
  std::string found = path.empty() ? path : os::absolute_path(path);
  return found.empty() ? path : found;
}

}  // namespace prewarm::cli
