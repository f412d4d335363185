// SPDX-License-Identifier: MIT
#include "image/file_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <optional>

namespace prewarm::image {
namespace {

constexpr std::uint32_t kOfFile = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF;
constexpr std::uint32_t kOfDirectory =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB;
constexpr int kMostLinks = 40;  // as the kernel

// Local ones, and those that can't be written to. Everything else may be changed by another machine
// or in another layer, of which inotify is told nothing.
constexpr std::array<std::uint64_t, 11> kTellAll = {
    EXT4_SUPER_MAGIC,  // ext2 and ext3, too
    XFS_SUPER_MAGIC,  BTRFS_SUPER_MAGIC, TMPFS_MAGIC,          RAMFS_MAGIC,
    F2FS_SUPER_MAGIC, SQUASHFS_MAGIC,    EROFS_SUPER_MAGIC_V1, ISOFS_SUPER_MAGIC,
    0x2fc12fc1,  // ZFS
    0xca451a4e,  // bcachefs
};

std::size_t half_of_users_watches() {
  std::size_t most = 8192;
  std::ifstream("/proc/sys/fs/inotify/max_user_watches") >> most;
  return most / 2;
}

}  // namespace

// Walks a path name by name, and watches each directory before it looks at what is in it.
class FileWatch::Trail {
 public:
  Trail(FileWatch& watch, Id id) : watch_(watch), id_(id) {}

  bool follow(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return false;
    const auto directory = resolve(path.substr(0, slash));
    if (!directory) return false;
    return !*directory || walk(**directory, path.substr(slash + 1)).has_value();
  }

 private:
  // Nothing: can't be watched. Empty inside: there is no such file, and that is watched.
  using Place = std::optional<std::optional<std::string>>;

  // Of a directory; thousands of files are in the same ones.
  Place resolve(std::string_view directory) {
    if (const auto known = resolved_.find(directory); known != resolved_.end()) {
      return known->second;
    }
    Place place = walk("", directory);
    if (place) resolved_.emplace(std::string(directory), *place);
    return place;
  }

  // From `at`, which has no links and no slash at its end, along `rest`.
  Place walk(std::string at, std::string_view rest) {
    std::string left(rest);
    int links = 0;
    while (!left.empty()) {
      const std::size_t slash = left.find('/');
      const std::string name = left.substr(0, slash);
      left = slash == std::string::npos ? "" : left.substr(slash + 1);
      if (name.empty() || name == ".") continue;
      if (name == "..") {
        at.resize(at.empty() ? 0 : at.rfind('/'));
        continue;
      }
      if (!enter(at, name)) return {};
      std::string next = at;
      next.append("/").append(name);
      struct stat s;
      if (::lstat(next.c_str(), &s) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return Place(std::in_place, std::nullopt);
        return {};
      }
      if (S_ISLNK(s.st_mode)) {
        char target[PATH_MAX];
        const ssize_t n = ::readlink(next.c_str(), target, sizeof target);
        if (n <= 0 || static_cast<std::size_t>(n) >= sizeof target || ++links > kMostLinks) {
          return {};
        }
        if (target[0] == '/') at.clear();
        left.insert(0, "/").insert(0, target, static_cast<std::size_t>(n));
        continue;
      }
      if (S_ISREG(s.st_mode) && watch_.add(id_, next, kOfFile) < 0) return {};
      if (!S_ISDIR(s.st_mode) && !left.empty()) return Place(std::in_place, std::nullopt);
      at = std::move(next);
    }
    return Place(std::in_place, at);
  }

  // Watches for changes of `name` in the directory.
  bool enter(const std::string& directory, const std::string& name) {
    auto known = entered_.find(directory);
    if (known == entered_.end()) {
      const std::string path = directory.empty() ? "/" : directory;
      const int watch = watch_.tells_all(path) ? watch_.add(id_, path, kOfDirectory) : -1;
      known = entered_.emplace(directory, watch).first;
    }
    if (known->second < 0) return false;
    watch_.nodes_.at(known->second).names[name].insert(id_);
    return true;
  }

  FileWatch& watch_;
  Id id_;
  std::map<std::string, std::optional<std::string>, std::less<>> resolved_;
  std::map<std::string, int> entered_;  // watches by directory
};

os::Result<FileWatch> FileWatch::make(std::size_t limit) {
  os::Fd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) return os::failed("watch files");
  os::Fd mounts(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  return FileWatch(std::move(inotify), std::move(mounts),
                   limit == 0 ? half_of_users_watches() : limit);
}

bool FileWatch::sees_all(std::uint64_t filesystem) {
  return std::ranges::find(kTellAll, filesystem) != kTellAll.end();
}

bool FileWatch::tells_all(const std::string& directory) {
  struct stat s;
  if (::stat(directory.c_str(), &s) != 0) return false;
  const auto known = filesystems_.find(s.st_dev);
  if (known != filesystems_.end()) return known->second;
  struct statfs f;
  if (::statfs(directory.c_str(), &f) != 0) return false;
  const bool all = sees_all(static_cast<std::uint64_t>(f.f_type));
  filesystems_.emplace(s.st_dev, all);
  return all;
}

int FileWatch::add(Id id, const std::string& path, std::uint32_t mask) {
  if (nodes_.size() >= limit_) {
    errno = ENOSPC;
    return -1;
  }
  const int watch = ::inotify_add_watch(inotify_.get(), path.c_str(), mask | IN_DONT_FOLLOW);
  if (watch < 0) return -1;
  Node& node = nodes_[watch];
  if ((mask & IN_MODIFY) != 0) node.self.insert(id);
  of_id_[id].insert(watch);
  return watch;
}

bool FileWatch::watch(Id id, const std::vector<std::string_view>& paths) {
  Trail trail(*this, id);
  for (const std::string_view path : paths) {
    if (trail.follow(path)) continue;
    forget(id);
    return false;
  }
  return true;
}

void FileWatch::forget(Id id) {
  const auto found = of_id_.find(id);
  if (found == of_id_.end()) return;
  for (const int watch : found->second) {
    const auto node = nodes_.find(watch);
    if (node == nodes_.end()) continue;
    node->second.self.erase(id);
    auto& names = node->second.names;
    for (auto name = names.begin(); name != names.end();) {
      name->second.erase(id);
      name = name->second.empty() ? names.erase(name) : std::next(name);
    }
    if (!node->second.self.empty() || !node->second.names.empty()) continue;
    ::inotify_rm_watch(inotify_.get(), watch);
    nodes_.erase(node);
  }
  of_id_.erase(found);
}

void FileWatch::touch_all(std::set<Id>& touched) const {
  for (const auto& [id, watches] : of_id_) touched.insert(id);
}

void FileWatch::take(int watch, std::uint32_t mask, std::string_view name, std::set<Id>& touched) {
  if ((mask & IN_Q_OVERFLOW) != 0) {  // something was lost
    touch_all(touched);
    return;
  }
  const auto found = nodes_.find(watch);
  if (found == nodes_.end()) return;  // of a watch that was removed in the meantime
  Node& node = found->second;
  if (!name.empty()) {
    const auto who = node.names.find(name);
    if (who != node.names.end()) touched.insert(who->second.begin(), who->second.end());
  } else {
    touched.insert(node.self.begin(), node.self.end());
    for (const auto& [child, who] : node.names) touched.insert(who.begin(), who.end());
  }
  // Its file is gone, or its filesystem is unmounted, and the kernel has removed the watch.
  if ((mask & IN_IGNORED) != 0) nodes_.erase(found);
}

void FileWatch::drain(std::set<Id>& touched) {
  pollfd polled[] = {{inotify_.get(), POLLIN, 0}, {mounts_.get(), POLLPRI, 0}};
  if (::poll(polled, 2, 0) <= 0) return;
  if ((polled[1].revents & POLLPRI) != 0) touch_all(touched);
  if (polled[0].revents == 0) return;
  alignas(inotify_event) char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    for (ssize_t at = 0; at < n;) {
      inotify_event event;
      std::memcpy(&event, buffer + at, sizeof event);
      const char* name = buffer + at + sizeof event;
      take(event.wd, event.mask,
           event.len == 0 ? std::string_view() : std::string_view(name, ::strnlen(name, event.len)),
           touched);
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

}  // namespace prewarm::image
