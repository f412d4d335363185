// SPDX-License-Identifier: MIT
#include "cold/left_children.h"

#include <mutex>
#include <utility>
#include <vector>

#include "cold/wait_child.h"

namespace prewarm::cold {
namespace {

struct LeftChild {
  pid_t pid;
  os::Fd pidfd;
};

struct LeftChildren {
  std::mutex mutex;
  std::vector<LeftChild> children;
};

LeftChildren& left_children() {
  // Never destroyed: other threads may leave children while the process exits.
  static auto& all = *new LeftChildren;
  return all;
}

// What can't be waited for any more (ECHILD) is gone, too: somebody else did it, or this is a fork
// of the process whose children they were.
bool gone(const LeftChild& child) {
  ChildEnd end;
  return wait_child(child.pid, child.pidfd, false, end) != 0;
}

}  // namespace

void leave_child(pid_t pid, os::Fd pidfd) {
  auto& all = left_children();
  const std::scoped_lock lock(all.mutex);
  all.children.push_back({pid, std::move(pidfd)});
  std::erase_if(all.children, gone);
}

void reap_left_children() {
  auto& all = left_children();
  const std::scoped_lock lock(all.mutex);
  std::erase_if(all.children, gone);
}

}  // namespace prewarm::cold
