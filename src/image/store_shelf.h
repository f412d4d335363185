// SPDX-License-Identifier: MIT
//
// The service's shelf is the user's store of images.
#pragma once

#include <time.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "image/image_shelf.h"
#include "image/move.h"
#include "image/store.h"

namespace prewarm::image {

class StoreShelf : public ImageShelf {
 public:
  // Makes the directory. `boot`: images get another place in it.
  static os::Result<StoreShelf> open(const std::string& directory, std::uint64_t max_bytes,
                                     const BootId& boot);

  // Looks into the files only after the directory has changed.
  std::vector<std::string> find(const std::string& program) override;
  os::Result<os::Fd> get(const std::string& name) override;
  os::Result<std::string> put(const os::Fd& memfd) override;
  void remove(const std::string& name) override;
  std::uint64_t collect_garbage() override;

 private:
  StoreShelf(std::string directory, std::uint64_t max_bytes, const BootId& boot)
      : directory_(std::move(directory)), max_bytes_(max_bytes), boot_(boot) {}

  os::Result<Store> store() const { return Store::open(directory_, max_bytes_); }
  void look();

  std::string directory_;
  std::uint64_t max_bytes_;
  BootId boot_;
  std::int64_t seen_ns_ = -1;  // the directory's time of modification
  std::multimap<std::string, StoredEntry> known_;
};

}  // namespace prewarm::image
