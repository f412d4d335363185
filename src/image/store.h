// SPDX-License-Identifier: MIT
//
// Images on the disk, for the next boot: one compressed file each, named by the image's key, in a
// directory of the user's own. Any number of processes may use one store at the same time, and be
// killed at any moment: a file appears whole, or not at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"
#include "image/move.h"
#include "image/stored_file.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

inline constexpr std::uint64_t kDefaultStoreBytes = 2ULL << 30;

// $XDG_CACHE_HOME/prewarm/images, or the same under ~/.cache. Empty if neither variable is an
// absolute path.
std::string store_directory(const char* xdg_cache_home, const char* home);

// Where an image comes to be when it is taken from the store.
struct Place {
  std::uint64_t arena = 0;  // `arena_near` makes it fit
  BootId boot{};
};

class Store {
 public:
  // One file, as `verify` has found it.
  struct Verified {
    std::string name;                  // in the directory
    std::optional<StoredEntry> entry;  // if so much could be read
    os::Result<void> state;
  };
  struct Collected {
    std::size_t leftovers = 0;  // of writers that are dead
    std::size_t unusable = 0;   // damaged, of another version, or readable by others
    std::size_t evicted = 0;    // for want of room
    std::uint64_t bytes = 0;    // of all of them
  };

  // Makes the directory (mode 0700) if what it is to lie in is there, and `.cache` and `prewarm`
  // with it. An error if it isn't this user's, or others can enter it.
  static os::Result<Store> open(const std::string& directory,
                                std::uint64_t max_bytes = kDefaultStoreBytes);

  // Adds the image, or replaces the one with its key. Those used least recently go if there is no
  // room. Nothing is left behind on an error; EFBIG: it alone is larger than the store may be.
  os::Result<void> put(const Image& image);

  // The image in a sealed memfd, checked like `Image::open` does; moved, if a place is given. It
  // counts as used now. ENOENT: there is none. Other errors as those of `Image::open`.
  os::Result<os::Fd> get(const ImageKey& key, const std::optional<Place>& place = {});

  // What can be read, in no order.
  os::Result<std::vector<StoredEntry>> list() const;

  // Whether there was one.
  os::Result<bool> remove(const ImageKey& key);

  // Decompresses and checks every file that has the name of an image.
  os::Result<std::vector<Verified>> verify() const;

  // Removes leftovers, what `get` would refuse by its header alone, and what there is no room for.
  os::Result<Collected> collect();

  const std::string& directory() const { return path_; }

 private:
  Store(std::string path, os::Fd directory, std::uint64_t max_bytes)
      : path_(std::move(path)), directory_(std::move(directory)), max_bytes_(max_bytes) {}

  os::Result<std::vector<std::string>> names() const;
  os::Result<os::Fd> open_file(const std::string& name) const;
  os::Result<void> check(const std::string& name, std::optional<StoredEntry>& entry) const;
  os::Result<void> evict(std::uint64_t room, const std::string& but, Collected& collected);
  os::Result<void> remove_leftovers(Collected& collected);
  bool unlink(const std::string& name);

  std::string path_;
  os::Fd directory_;
  std::uint64_t max_bytes_;
};

}  // namespace prewarm::image
