// SPDX-License-Identifier: MIT
//
// Notices that what a path leads to may have changed, by inotify(7): its contents, or what any name
// on the way to it, symbolic links included, stands for; also that something appears where there
// was nothing, and that something is mounted.
//
// A change is in the kernel's queue before the system call that made it returns, so whoever reads
// the queue empty knows of all changes whose makers have gone on. Not noticed: writing through a
// shared mapping.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

class FileWatch {
 public:
  using Id = std::uint64_t;  // on whose behalf

  // At most `limit` inotify watches; 0: half of what the system gives a user.
  static os::Result<FileWatch> make(std::size_t limit);

  // Readable when there is something to drain. Never blocks.
  int fd() const { return inotify_.get(); }

  // Watches all of these absolute paths for `id`. False: one of them can't be watched (there are no
  // watches left, its filesystem tells inotify nothing of changes that others make to it); then
  // nothing is watched for `id`, and each has to be looked at again each time.
  bool watch(Id id, const std::vector<std::string_view>& paths);
  void forget(Id id);

  // Takes all that has happened; `touched` gets who may be concerned, each once.
  void drain(std::set<Id>& touched);

  std::size_t watches() const { return nodes_.size(); }

  // Whether inotify sees every change on a filesystem of this type (statfs.f_type).
  static bool sees_all(std::uint64_t filesystem);

 private:
  // A watched file or directory.
  struct Node {
    std::map<std::string, std::set<Id>, std::less<>> names;  // of a directory: which matter
    std::set<Id> self;
  };
  class Trail;

  FileWatch(os::Fd inotify, os::Fd mounts, std::size_t limit)
      : inotify_(std::move(inotify)), mounts_(std::move(mounts)), limit_(limit) {}

  // The watch of what is at `path`, itself no link; -1: there is none, see errno.
  int add(Id id, const std::string& path, std::uint32_t mask);
  bool tells_all(const std::string& directory);
  void touch_all(std::set<Id>& touched) const;
  void take(int watch, std::uint32_t mask, std::string_view name, std::set<Id>& touched);

  os::Fd inotify_;
  os::Fd mounts_;  // /proc/self/mountinfo, which poll(2) says has changed; perhaps not valid
  std::size_t limit_;
  std::unordered_map<int, Node> nodes_;
  std::unordered_map<Id, std::set<int>> of_id_;
  std::unordered_map<std::uint64_t, bool> filesystems_;  // by device
};

}  // namespace prewarm::image
