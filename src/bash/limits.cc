// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/limits.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "os/fd.h"

namespace prewarm::bash {
namespace {

constexpr std::uint64_t kLeastProcesses = 1024;
// Several times what all parked processes of a shell use by themselves.
constexpr std::uint64_t kLeastMemory = std::uint64_t{64} << 20;

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

std::string read_text(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(4096, '\0');
  const ssize_t n = fd.valid() ? ::read(fd.get(), text.data(), text.size()) : 0;
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

// "max", or a file that isn't there, is no limit.
std::uint64_t read_limit(const std::string& path) {
  const std::string text = read_text(path);
  std::uint64_t value = kUnlimited;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The least of the limits in `directory` and in all that it lies in, up to `top`.
std::uint64_t least_limit(const std::string& top, std::string directory, const char* file) {
  std::uint64_t least = kUnlimited;
  for (;;) {
    least = std::min(least, read_limit(top + directory + "/" + file));
    const auto slash = directory.rfind('/');
    if (slash == std::string::npos) return least;
    directory.resize(slash);
  }
}

bool contains_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto end = std::min(list.find(','), list.size());
    if (list.substr(0, end) == word) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

std::uint64_t group_limit(const GroupLimit& limit, std::string_view groups,
                          const std::string& root) {
  std::uint64_t least = kUnlimited;
  while (!groups.empty()) {
    // hierarchy:controllers:path; in version 2 there is one hierarchy, and no controller is named.
    const auto end = std::min(groups.find('\n'), groups.size());
    const std::string_view line = groups.substr(0, end);
    groups.remove_prefix(std::min(end + 1, groups.size()));
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    std::string path(line.substr(second + 1));
    if (path == "/") path.clear();
    if (controllers.empty()) {
      least = std::min(least, least_limit(root, path, limit.version2));
    } else if (contains_word(controllers, limit.controller)) {
      least = std::min(least, least_limit(root + "/" + limit.controller, path, limit.version1));
    }
  }
  return least;
}

bool limits_allow_parking() {
  const auto soft = [](__rlimit_resource r) {
    rlimit limit{};
    ::getrlimit(r, &limit);
    return limit.rlim_cur;
  };
  const bool tight = soft(RLIMIT_AS) != RLIM_INFINITY || soft(RLIMIT_DATA) != RLIM_INFINITY ||
                     soft(RLIMIT_FSIZE) != RLIM_INFINITY || soft(RLIMIT_CPU) != RLIM_INFINITY ||
                     soft(RLIMIT_STACK) < (1U << 20) || soft(RLIMIT_NOFILE) < 512 ||
                     soft(RLIMIT_NPROC) < kLeastProcesses;
  if (tight) return false;
  const std::string groups = read_text("/proc/self/cgroup");
  const std::string root = "/sys/fs/cgroup";
  return group_limit(kGroupMemory, groups, root) >= kLeastMemory &&
         group_limit(kGroupProcesses, groups, root) >= kLeastProcesses;
}

}  // namespace prewarm::bash
