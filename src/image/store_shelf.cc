// SPDX-License-Identifier: MIT
#include "image/store_shelf.h"

#include <errno.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "image/capture.h"
#include "image/image.h"
#include "image/memfd.h"
#include "os/clock.h"

namespace prewarm::image {
namespace {

constexpr int kHex = 16;
// As captures have it; one that needs more is put lower.
constexpr std::uint64_t kArenaRoom = 1ULL << 36;

std::string name_of(const ImageKey& key) {
  char text[2 * kHex + 2];
  std::snprintf(text, sizeof text, "%016llx-%016llx", static_cast<unsigned long long>(key[0]),
                static_cast<unsigned long long>(key[1]));
  return text;
}

ImageKey key_of(const std::string& name) {
  const std::size_t dash = std::min(name.find('-'), name.size());
  return {std::strtoull(name.substr(0, dash).c_str(), nullptr, kHex),
          std::strtoull(name.substr(std::min(dash + 1, name.size())).c_str(), nullptr, kHex)};
}

}  // namespace

os::Result<StoreShelf> StoreShelf::open(const std::string& directory, std::uint64_t max_bytes,
                                        const BootId& boot) {
  StoreShelf shelf(directory, max_bytes, boot);
  if (const auto store = shelf.store(); !store) return std::unexpected(store.error());
  return shelf;
}

void StoreShelf::look() {
  struct stat s;
  if (::stat(directory_.c_str(), &s) != 0) {
    known_.clear();
    seen_ns_ = -1;
    return;
  }
  // Within the clock's tick a second change looks like the first.
  constexpr std::int64_t kTickNs = 20 * os::kNsPerMs;
  const std::int64_t changed = os::ns_of(s.st_mtim);
  if (changed == seen_ns_) return;
  const bool is_settled = os::now_ns(CLOCK_REALTIME) - changed > kTickNs;
  known_.clear();
  const auto opened = store();
  const auto entries = opened ? opened->list() : std::vector<StoredEntry>();
  if (!entries) return;
  for (const StoredEntry& entry : *entries) known_.emplace(entry.program, entry);
  seen_ns_ = is_settled ? changed : -1;
}

std::vector<std::string> StoreShelf::find(const std::string& program) {
  look();
  const auto range = known_.equal_range(program);
  std::vector<const StoredEntry*> found;
  for (auto at = range.first; at != range.second; ++at) found.push_back(&at->second);
  std::ranges::sort(found, std::ranges::greater(), &StoredEntry::made_at_s);
  std::vector<std::string> names;
  for (const StoredEntry* entry : found) names.push_back(name_of(entry->key));
  return names;
}

os::Result<os::Fd> StoreShelf::get(const std::string& name) {
  auto opened = store();
  if (!opened) return std::unexpected(opened.error());
  // At another place each time that it comes into memory.
  return opened->get(key_of(name), Place{draw_arena(kArenaRoom), boot_});
}

os::Result<std::string> StoreShelf::put(const os::Fd& memfd) {
  auto opened = store();
  if (!opened) return std::unexpected(opened.error());
  const auto mapping = Mapping::of(memfd);
  if (!mapping) return std::unexpected(mapping.error());
  const auto image = Image::open(mapping->bytes());
  if (!image) return std::unexpected(image.error());
  if (auto stored = opened->put(*image); !stored) return std::unexpected(stored.error());
  return name_of({image->header().key[0], image->header().key[1]});
}

void StoreShelf::remove(const std::string& name) {
  if (auto opened = store()) (void)opened->remove(key_of(name));
  seen_ns_ = -1;
}

std::uint64_t StoreShelf::collect_garbage() {
  auto opened = store();
  if (!opened) return 0;
  const auto collected = opened->collect();
  seen_ns_ = -1;
  return collected ? collected->leftovers + collected->unusable + collected->evicted : 0;
}

}  // namespace prewarm::image
