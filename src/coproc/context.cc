// SPDX-License-Identifier: MIT
#include "coproc/context.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "os/fd.h"

namespace prewarm::coproc {
namespace {

// Lines of /proc/PID/status. CapEff is empty for all but root, and then says whether it is whole.
constexpr std::string_view kLines[] = {
    "Gid:", "Groups:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:"};
// `root` and ns/*, see proc(5) and namespaces(7).
constexpr const char* kFiles[] = {"root",   "ns/user", "ns/mnt", "ns/net",
                                  "ns/pid", "ns/ipc",  "ns/uts", "ns/time"};

bool add_file(int directory, const char* name, std::string& context) {
  struct stat s;
  if (::fstatat(directory, name, &s, 0) != 0) return false;
  context += std::to_string(s.st_dev) + ":" + std::to_string(s.st_ino) + "\n";
  return true;
}

void add_status(int directory, std::string& context) {
  const os::Fd fd(::openat(directory, "status", O_RDONLY | O_CLOEXEC));
  char text[8192];
  const ssize_t n = fd.valid() ? ::read(fd.get(), text, sizeof text) : -1;
  std::string_view rest(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    for (const auto name : kLines) {
      if (line.starts_with(name)) context.append(line).push_back('\n');
    }
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
  }
}

}  // namespace

std::string context_of(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid);
  const os::Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::string context;
  if (!directory.valid()) return context;
  for (const char* name : kFiles) {
    const bool is_old_kernels = name == std::string_view("ns/time");
    if (!add_file(directory.get(), name, context) && !is_old_kernels) return {};
  }
  add_status(directory.get(), context);
  return context;
}

}  // namespace prewarm::coproc
