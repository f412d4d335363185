// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>

namespace prewarm::bash {
namespace {

bool is_inheritable(int fd) {
  const int flags = ::fcntl(fd, F_GETFD);
  return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

}  // namespace

void Descriptors::start() {
  std::vector<int> open;
  if (!scan_all(open)) {
    high_ = true;
    return;
  }
  for (const int fd : open) note_number(fd);
}

bool Descriptors::inheritable(std::vector<int>& out) {
  out.clear();
  return high_ ? scan_all(out) : scan_low(out);
}

// One poll over the numbers in use: the cheapest question that tells open from closed.
bool Descriptors::scan_low(std::vector<int>& out) {
  static pollfd table[kScanned];
  nfds_t count = 0;
  for (int fd = 0; fd < kScanned; ++fd) {
    if (middle_ || fd < kLow || fd >= kTop) table[count++] = {fd, 0, 0};
  }
  if (::poll(table, count, 0) < 0) return scan_all(out);
  unsigned run = 0;
  for (nfds_t i = 0; i < count; ++i) {
    if ((table[i].revents & POLLNVAL) != 0) continue;
    ++run;
    const int fd = table[i].fd;
    if (fd <= 2 || is_inheritable(fd)) out.push_back(fd);
  }
  // With no number free below, there may be more above.
  if (run == count) {
    high_ = true;
    out.clear();
    return scan_all(out);
  }
  return true;
}

bool Descriptors::scan_all(std::vector<int>& out) {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return false;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != ::dirfd(directory) && is_inheritable(fd)) out.push_back(fd);
  }
  ::closedir(directory);
  std::sort(out.begin(), out.end());
  return true;
}

}  // namespace prewarm::bash
