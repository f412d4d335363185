// SPDX-License-Identifier: MIT
#include "os/runtime_directory.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace prewarm::os {
namespace {

std::string choose() {
  if (const char* own = std::getenv("PREWARM_RUNTIME_DIR"); own != nullptr && *own == '/')
    return own;
  if (const char* xdg = std::getenv("XDG_RUNTIME_DIR"); xdg != nullptr && *xdg == '/') {
    return std::string(xdg) + "/prewarm";
  }
  const std::string uid = std::to_string(::geteuid());
  const std::string user = "/run/user/" + uid;
  struct stat s;
  if (::stat(user.c_str(), &s) == 0 && s.st_uid == ::geteuid()) return user + "/prewarm";
  return "/tmp/prewarm-" + uid;
}

}  // namespace

Result<std::string> runtime_directory() {
  std::string path = choose();
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return failed("make the runtime directory", path);
  }
  // In a directory that everybody can write to, somebody else may have been first.
  struct stat s;
  if (::lstat(path.c_str(), &s) != 0) return failed("look at the runtime directory", path);
  if (!S_ISDIR(s.st_mode)) return failed_with(ENOTDIR, "use the runtime directory", path);
  if (s.st_uid != ::geteuid() || (s.st_mode & 077) != 0) {
    return failed_with(EPERM, "use the runtime directory",
                       path + " (it must be this user's, with mode 0700)");
  }
  return path;
}

}  // namespace prewarm::os
