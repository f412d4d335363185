// SPDX-License-Identifier: MIT
#include "image/place_field.h"

#include <algorithm>
#include <bit>

namespace prewarm::image {
namespace {

constexpr std::uint64_t kUnitsPerPage = PlaceField::kPage / kPlaceUnit;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

// Bits [from, to) of a word; to is 1 to 64.
constexpr std::uint64_t mask(std::uint64_t from, std::uint64_t to) {
  return (~0ULL << from) & (~0ULL >> (64 - to));
}

}  // namespace

// Calls `function(page, word, bits)` for each word of bits that the bytes [begin, end) touch.
template <class Function>
void PlaceField::for_each_word(std::uint64_t begin, std::uint64_t end, Function&& function) {
  for (auto unit = begin / kPlaceUnit, last = round_up(end, kPlaceUnit) / kPlaceUnit;
       unit < last;) {
    const auto word_end = std::min(last, (unit / 64 + 1) * 64);
    function(pages_[unit / kUnitsPerPage], unit % kUnitsPerPage / 64,
             mask(unit % 64, (word_end - 1) % 64 + 1));
    unit = word_end;
  }
}

std::uint64_t PlaceField::blocked_until(std::uint64_t begin, std::uint64_t end, Use use) const {
  const auto first = begin / kPage;
  const auto last = std::min((end - 1) / kPage + 1, static_cast<std::uint64_t>(pages_.size()));
  // From the end: only the last obstacle matters.
  for (auto page = last; page-- > first;) {
    const auto& there = pages_[page];
    if (there.parts == 0) continue;
    if (there.use != use) return (page + 1) * kPage;
    const auto from = page == first ? begin % kPage / kPlaceUnit : 0;
    const auto to = std::min(kUnitsPerPage, round_up(end - page * kPage, kPlaceUnit) / kPlaceUnit);
    for (auto word = (to - 1) / 64 + 1; word-- > from / 64;) {
      const auto low = word == from / 64 ? from % 64 : 0;
      const auto high = word == (to - 1) / 64 ? (to - 1) % 64 + 1 : 64;
      const auto taken = there.taken[word] & mask(low, high);
      if (taken != 0) {
        return page * kPage +
               (word * 64 + static_cast<std::uint64_t>(std::bit_width(taken))) * kPlaceUnit;
      }
    }
  }
  return 0;
}

std::optional<std::uint64_t> PlaceField::obstacle(const PlaceItem& item, std::uint64_t base) const {
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < item.parts.size(); ++i) {
    const auto& part = item.parts[i];
    // Its own parts of different use may come to share a page, too.
    if (i != 0 && item.parts[i - 1].use != part.use &&
        (base + item.parts[i - 1].end - 1) / kPage == (base + part.begin) / kPage) {
      const auto next_page = round_up(base + part.begin + 1, kPage);
      next = std::max(next, std::min(next_page - part.begin, round_up(base + 1, kPage)));
    }
    const auto until = blocked_until(base + part.begin, base + part.end, part.use);
    if (until != 0) {
      next = std::max(next, until - std::min(until, part.begin / kPlaceUnit * kPlaceUnit));
    }
  }
  if (next == 0) return std::nullopt;
  return std::max(round_up(next, item.alignment), base + item.alignment);
}

void PlaceField::put(const PlaceItem& item, std::uint64_t base) {
  for (const auto& part : item.parts) {
    const auto begin = base + part.begin;
    const auto end = base + part.end;
    const auto last = (end - 1) / kPage;
    if (pages_.size() <= last) pages_.resize(last + 1);
    for (auto page = begin / kPage; page <= last; ++page) {
      pages_[page].use = part.use;
      ++pages_[page].parts;
    }
    for_each_word(begin, end, [](Page& page, std::uint64_t word, std::uint64_t bits) {
      page.taken[word] |= bits;
    });
  }
}

void PlaceField::take_away(const PlaceItem& item, std::uint64_t base) {
  for (const auto& part : item.parts) {
    const auto begin = base + part.begin;
    const auto end = base + part.end;
    for (auto page = begin / kPage; page <= (end - 1) / kPage; ++page) --pages_[page].parts;
    for_each_word(begin, end, [](Page& page, std::uint64_t word, std::uint64_t bits) {
      page.taken[word] &= ~bits;
    });
  }
}

}  // namespace prewarm::image
