// SPDX-License-Identifier: MIT
#include "image/pack_place.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "image/place_field.h"

namespace prewarm::image {
namespace {

constexpr std::uint64_t kPage = PlaceField::kPage;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

std::uint64_t bytes_of(const PlaceItem& item) {
  std::uint64_t bytes = 0;
  for (const auto& part : item.parts) bytes += part.end - part.begin;
  return bytes;
}

// Where the first of a group goes, counted from a page: so that its data begins with a page. Then
// there is the most room for others before it.
std::uint64_t first_base(const PlaceItem& item) {
  for (const auto& part : item.parts) {
    if (part.use == Use::data) {
      return round_up((kPage - part.begin % kPage) % kPage, item.alignment);
    }
  }
  return 0;
}

// Distances at which two items of the same shape touch: one begins where the other ends.
std::vector<std::uint64_t> touching_distances(const PlaceItem& item) {
  std::vector<std::uint64_t> distances;
  for (const auto& a : item.parts) {
    for (const auto& b : item.parts) {
      const auto begin = a.begin / kPlaceUnit * kPlaceUnit;
      const auto end = round_up(b.end, kPlaceUnit);
      const auto distance = end > begin ? end - begin : begin - end;
      if (distance != 0) distances.push_back(round_up(distance, item.alignment));
    }
  }
  std::sort(distances.begin(), distances.end());
  distances.erase(std::unique(distances.begin(), distances.end()), distances.end());
  return distances;
}

// xorshift: small, and the same everywhere.
class Dice {
 public:
  std::uint64_t below(std::uint64_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % bound;
  }

 private:
  std::uint64_t state_ = 0x9e37'79b9'7f4a'7c15;
};

// Looks for a group of many items of one shape. Which go together is decided by how the parts
// interleave, and taking the first place that is free misses the best by a third or more. So
// several groups are made by chance, each by places that leave no gap at one side, and the largest
// is kept.
class GroupSearch {
 public:
  explicit GroupSearch(const PlaceItem& item)
      : item_(item), distances_(touching_distances(item)), first_(first_base(item)) {
    // Its own parts may be in the way there; at a page they aren't.
    if (PlaceField().obstacle(item_, first_)) first_ = 0;
  }

  std::vector<std::uint64_t> largest() {
    auto best = greedy();
    // Where so many fit the gaps don't matter.
    constexpr std::size_t kManyAnyway = 64;
    if (best.size() >= kManyAnyway) return best;
    constexpr int kTries = 160;
    for (int i = 0; i < kTries; ++i) {
      auto group = by_chance();
      if (group.size() > best.size()) best = std::move(group);
    }
    std::sort(best.begin(), best.end());
    return best;
  }

 private:
  // Beyond this an item would share no page with the first: a group of its own.
  std::uint64_t limit() const { return round_up(first_ + item_.parts.back().end, kPage); }

  std::vector<std::uint64_t> greedy() {
    PlaceField field;
    field.put(item_, first_);
    std::vector<std::uint64_t> group = {first_};
    for (auto base = first_ + item_.alignment; base < limit();) {
      if (const auto next = field.obstacle(item_, base)) {
        base = *next;
        continue;
      }
      field.put(item_, base);
      group.push_back(base);
    }
    return group;
  }

  std::vector<std::uint64_t> by_chance() {
    PlaceField field;
    std::vector<std::uint64_t> group;
    std::vector<std::uint64_t> free;
    const auto put = [&](std::uint64_t base) {
      field.put(item_, base);
      group.push_back(base);
      for (const auto distance : distances_) {
        if (base + distance < limit()) free.push_back(base + distance);
        if (base >= distance) free.push_back(base - distance);
      }
      std::sort(free.begin(), free.end());
      free.erase(std::unique(free.begin(), free.end()), free.end());
      std::erase_if(free, [&](auto at) { return field.obstacle(item_, at).has_value(); });
    };
    put(first_);
    while (!free.empty()) put(free[dice_.below(free.size())]);
    return group;
  }

  const PlaceItem& item_;
  std::vector<std::uint64_t> distances_;
  std::uint64_t first_;
  Dice dice_;
};

class Placer {
 public:
  explicit Placer(std::span<const PlaceItem> items) : items_(items) {
    placement_.bases.resize(items.size());
  }

  Placement run() {
    std::map<Shape, std::vector<std::size_t>> shapes;
    std::vector<std::size_t> large;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (bytes_of(items_[i]) > kSmallItem) {
        large.push_back(i);
      } else {
        shapes[{items_[i].parts, items_[i].alignment}].push_back(i);
      }
    }
    std::vector<std::vector<std::size_t>> by_count;
    for (auto& [shape, members] : shapes) by_count.push_back(std::move(members));
    std::stable_sort(by_count.begin(), by_count.end(),
                     [](const auto& a, const auto& b) { return a.size() > b.size(); });
    for (auto& members : by_count) place_groups(members);
    for (const auto& members : by_count) place_rest(members);
    place_large(large);
    collect_runs();
    return std::move(placement_);
  }

 private:
  using Shape = std::pair<std::vector<PlacePart>, std::uint64_t>;

  void put(std::size_t item, std::uint64_t base) {
    field_.put(items_[item], base);
    placement_.bases[item] = base;
  }

  // A page at which something can be put without sharing a page with what is there.
  std::uint64_t fresh_page(const PlaceItem& item) const {
    return round_up(field_.pages() * kPage, std::max(kPage, item.alignment));
  }

  // The first from `base` on: behind all that is there only its own parts are in the way.
  std::uint64_t free_base(const PlaceItem& item, std::uint64_t base) const {
    while (const auto next = field_.obstacle(item, base)) base = *next;
    return base;
  }

  // Whole groups of items of one shape; those that are left over stay in `members`.
  void place_groups(std::vector<std::size_t>& members) {
    constexpr std::size_t kWorthSearching = 16;
    constexpr int kMostSearches = 24;  // bounds the time
    if (members.size() < kWorthSearching || searches_ >= kMostSearches) return;
    ++searches_;
    const auto& item = items_[members[0]];
    const auto group = GroupSearch(item).largest();
    if (group.size() < 2) return;
    // The last few of them are a group that isn't full, if they are most of one.
    while (members.size() * 2 > group.size()) {
      const auto page = fresh_page(item);
      ++placement_.groups;
      for (std::size_t i = 0; i < group.size() && !members.empty(); ++i) {
        put(members.back(), page + group[i]);
        members.pop_back();
      }
    }
  }

  // What there are only a few of: each at the first place that is free in the group under way.
  void place_rest(const std::vector<std::size_t>& members) {
    std::uint64_t cursor = 0;  // no place before it for this shape, within the group under way
    for (const auto member : members) {
      const auto& item = items_[member];
      if (!has_group_) {
        open_group(member);
        cursor = placement_.bases[member];
        continue;
      }
      auto base = std::max(cursor, round_up(group_begin_, item.alignment));
      while (base < group_end_) {
        const auto next = field_.obstacle(item, base);
        if (!next) break;
        base = *next;
      }
      if (base < group_end_) {
        put(member, base);
      } else {
        open_group(member);
        base = placement_.bases[member];
      }
      cursor = base;
    }
  }

  void open_group(std::size_t member) {
    const auto& item = items_[member];
    group_begin_ = fresh_page(item);
    ++placement_.groups;
    has_group_ = true;
    put(member, free_base(item, group_begin_ + first_base(item)));
    group_end_ = field_.pages() * kPage;
  }

  void place_large(const std::vector<std::size_t>& members) {
    for (const auto member : members) {
      put(member, fresh_page(items_[member]));
      ++placement_.groups;
    }
  }

  void collect_runs() {
    for (std::uint64_t page = 0; page < field_.pages(); ++page) {
      if (!field_.is_used(page)) continue;
      const auto use = field_.use_of(page);
      auto& runs = placement_.runs;
      // A few pages between two of the same use cost less than another mapping.
      constexpr std::uint64_t kSmallHole = 16 * kPage;
      if (!runs.empty() && runs.back().use == use && page * kPage - runs.back().end <= kSmallHole) {
        runs.back().end = (page + 1) * kPage;
      } else {
        runs.push_back({page * kPage, (page + 1) * kPage, use});
      }
    }
    placement_.size = field_.pages() * kPage;
  }

  std::span<const PlaceItem> items_;
  Placement placement_;
  PlaceField field_;
  int searches_ = 0;
  bool has_group_ = false;
  std::uint64_t group_begin_ = 0, group_end_ = 0;
};

}  // namespace

Placement place(std::span<const PlaceItem> items) { return Placer(items).run(); }

}  // namespace prewarm::image
