// SPDX-License-Identifier: MIT
//
// Which bytes of a row of pages are taken, and for which use.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "image/pack_place.h"

namespace prewarm::image {

class PlaceField {
 public:
  static constexpr std::uint64_t kPage = 4096;

  // The field is as long as it has to be; it never ends.
  std::uint64_t pages() const { return pages_.size(); }

  // Nothing if the item can be put at `base`; else a base before which it can't, rounded up to the
  // item's alignment and above `base`.
  std::optional<std::uint64_t> obstacle(const PlaceItem& item, std::uint64_t base) const;
  void put(const PlaceItem& item, std::uint64_t base);
  // What was put there before, and is there.
  void take_away(const PlaceItem& item, std::uint64_t base);

  bool is_used(std::uint64_t page) const { return pages_[page].parts != 0; }
  Use use_of(std::uint64_t page) const { return pages_[page].use; }

 private:
  static constexpr std::uint64_t kWords = kPage / kPlaceUnit / 64;
  struct Page {
    std::array<std::uint64_t, kWords> taken{};  // a bit for each unit
    std::uint32_t parts = 0;                    // that have bytes here
    Use use = Use::read;
  };

  // The end of the last unit within the range that the part can't have; 0 if it can have all.
  std::uint64_t blocked_until(std::uint64_t begin, std::uint64_t end, Use use) const;
  template <class Function>
  void for_each_word(std::uint64_t begin, std::uint64_t end, Function&& function);

  std::vector<Page> pages_;
};

}  // namespace prewarm::image
