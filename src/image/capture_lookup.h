// SPDX-License-Identifier: MIT
//
// Shortens how ld.so looks for a library among those that it has loaded. It goes through its list
// of all of them for each name that a library needs (DT_NEEDED), and for each new library twice
// more: has this file been loaded by another name, and where does the list end. With 10,000
// libraries that is half of the time that loading them takes.
//
// ld.so still does everything itself and makes all its data; it is stopped where it asks for a
// library by name (the call of _dl_map_object in openaux, elf/dl-deps.c of glibc), and then
// * a name that has been found before is answered in ld.so's place. Nothing is unloaded while a
//   program starts, and what is loaded later comes behind in the list, so the answer is the same;
// * for a new name the list is made short while ld.so looks: what is left out are libraries whose
//   names and files are known to be others.
// In doubt the list stays whole; so it does where a library may be missing (DT_AUXILIARY), as
// nothing is seen then of ld.so's giving up.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "image/capture.h"
#include "image/tracee.h"
#include "os/result.h"

namespace prewarm::image {

class LookupShortcut {
 public:
  // From now on `tracee`, which must outlive this, stops where it asks for libraries. `code`: an
  // address in its ld.so's code. Null if that isn't the code that is known.
  static os::Result<std::unique_ptr<LookupShortcut>> install(Tracee& tracee, std::uint64_t code);

  // Whether the process, which was stopped by SIGTRAP, is at one of the two places.
  bool is_here(const Registers& registers) const;
  // It is: does what ld.so would have done there. Then the process can go on.
  os::Result<void> answer(const Registers& registers);
  // ld.so has opened a file, and hasn't looked at it yet.
  os::Result<void> opened(int fd);
  // When all is loaded: the code is as it was.
  os::Result<void> remove();
  const LookupCounts& counts() const { return counts_; }

 private:
  LookupShortcut(Tracee& tracee, std::uint64_t call, std::uint64_t target)
      : tracee_(tracee), call_(call), target_(target) {}

  os::Result<void> asked(Registers registers);
  os::Result<void> found(const Registers& registers);
  os::Result<void> hand_over(Registers registers, std::uint64_t map);
  os::Result<void> find_end(std::uint64_t map);
  os::Result<void> shorten();
  os::Result<void> lengthen();
  os::Result<void> add_new();
  os::Result<void> look_at(std::uint64_t map);

  Tracee& tracee_;
  std::uint64_t call_, target_;  // where the call is, and of which function
  std::string asked_;            // the name that ld.so looks for; empty: it doesn't
  // Link maps: the list is searched to `head_` in any case, `first_` follows it, `last_` is its
  // end. 0: there is none yet.
  std::uint64_t head_ = 0, first_ = 0, last_ = 0;
  bool is_short_ = false;
  bool may_miss_ = false;  // some library needn't be found
  LookupCounts counts_;
  std::unordered_map<std::string, std::uint64_t> maps_;  // by a name that has been asked for
  std::unordered_set<std::string> sonames_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> files_;  // device and inode of what was opened
};

}  // namespace prewarm::image
