// SPDX-License-Identifier: MIT
#include "cold/libc_actions.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace prewarm::cold {
namespace {

using Kind = FileAction::Kind;

// The outer object, which <spawn.h> shows.
static_assert(sizeof(posix_spawn_file_actions_t) == 80 &&
              offsetof(posix_spawn_file_actions_t, __used) == 4 &&
              offsetof(posix_spawn_file_actions_t, __actions) == 8);

std::span<const FileAction> records(const posix_spawn_file_actions_t& object) {
  return {reinterpret_cast<const FileAction*>(object.__actions),
          static_cast<std::size_t>(std::max(object.__used, 0))};
}

// One action of each kind. Only descriptors 0 and 1 appear: larger ones the C library may refuse,
// if the process's limit is low.
constexpr const char* kPath = "/p";
constexpr const char* kDirectory = "/d";
constexpr int kFlags = O_RDWR | O_NOFOLLOW;
constexpr mode_t kMode = 0604;

bool fill(posix_spawn_file_actions_t* object) {
  return ::posix_spawn_file_actions_addclose(object, 1) == 0 &&
         ::posix_spawn_file_actions_adddup2(object, 1, 0) == 0 &&
         ::posix_spawn_file_actions_addopen(object, 1, kPath, kFlags, kMode) == 0 &&
         ::posix_spawn_file_actions_addchdir_np(object, kDirectory) == 0 &&
         ::posix_spawn_file_actions_addfchdir_np(object, 1) == 0 &&
         ::posix_spawn_file_actions_addclosefrom_np(object, 1) == 0 &&
         ::posix_spawn_file_actions_addtcsetpgrp_np(object, 1) == 0;
}

// Stops at the first record that isn't right: what follows might not be there.
bool reads_back(std::span<const FileAction> found) {
  const auto plain = [](const FileAction& action, Kind kind) {
    return action.kind == kind && action.of.fd == 1;
  };
  return found.size() == 7 && plain(found[0], Kind::close) &&   //
         plain(found[1], Kind::dup) && found[1].of.to == 0 &&   //
         plain(found[2], Kind::open) &&                         //
         found[2].flags == kFlags && found[2].mode == kMode &&  //
         std::strcmp(found[2].path, kPath) == 0 &&              //
         found[3].kind == Kind::chdir &&                        //
         std::strcmp(found[3].directory, kDirectory) == 0 &&    //
         plain(found[4], Kind::fchdir) &&                       //
         plain(found[5], Kind::close_from) &&                   //
         plain(found[6], Kind::foreground);
}

// Only a success is remembered: the C library may have lacked memory.
bool layout_is_known() {
  static std::atomic<bool> known{false};
  if (known.load(std::memory_order_relaxed)) return true;
  posix_spawn_file_actions_t object;
  if (::posix_spawn_file_actions_init(&object) != 0) return false;
  const bool right = fill(&object) && reads_back(records(object));
  ::posix_spawn_file_actions_destroy(&object);
  if (right) known.store(true, std::memory_order_relaxed);
  return right;
}

}  // namespace

std::optional<std::span<const FileAction>> file_actions(const posix_spawn_file_actions_t* object) {
  if (object == nullptr || object->__used == 0) return std::span<const FileAction>{};
  if (!layout_is_known()) return std::nullopt;
  const auto actions = records(*object);
  for (const FileAction& action : actions) {
    if (action.kind < Kind::close || action.kind > Kind::foreground) return std::nullopt;
  }
  return actions;
}

}  // namespace prewarm::cold
