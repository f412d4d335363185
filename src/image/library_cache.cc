// SPDX-License-Identifier: MIT
#include "image/library_cache.h"

#include <algorithm>
#include <cstring>

namespace prewarm::image {
namespace {

constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
constexpr std::uint32_t kExtensionMagic = 0xeaa42174;
constexpr std::uint32_t kSubdirectoriesTag = 1;
constexpr std::uint8_t kLittleEndian = 2;  // of the low bits of `flags`; 0: not said
constexpr std::uint8_t kEndianMask = 3;
// "ELF", or of libc6 and x86-64.
constexpr std::int32_t kAnyElf = 1;
constexpr std::int32_t kThisMachine = 0x0303;
// The high word of an entry's capabilities: it is for a subdirectory of glibc-hwcaps, whose number
// is the low word; the lowest bits are the level of x86-64 that the file itself asks for.
constexpr std::uint32_t kForSubdirectory = 1U << 30;
constexpr std::uint32_t kLevelMask = (1U << 10) - 1;
// Of the older kind: numbers of platforms, and a bit for "tls".
constexpr std::uint64_t kPlatformMask = std::uint64_t{0xf} << 48;
constexpr std::uint64_t kTlsBit = std::uint64_t{1} << 63;

struct Header {
  char magic[20];
  std::uint32_t count;
  std::uint32_t string_bytes;
  std::uint8_t flags;
  std::uint8_t padding[3];
  std::uint32_t extensions;  // offset; 0: none
  std::uint32_t unused[3];
};
static_assert(sizeof(Header) == 48);

struct ExtensionHeader {
  std::uint32_t magic;
  std::uint32_t count;
};

struct Section {
  std::uint32_t tag;
  std::uint32_t flags;
  std::uint32_t offset;
  std::uint32_t size;
};

template <class T>
bool read_at(std::span<const std::byte> file, std::uint64_t offset, T& value) {
  if (offset > file.size() || sizeof value > file.size() - offset) return false;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return true;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A row of digits at the start of `text`, which it is taken from. What overflows wraps.
std::int32_t take_number(std::string_view& text) {
  std::uint32_t value = 0;
  while (!text.empty() && is_digit(text.front())) {
    value = value * 10 + static_cast<std::uint32_t>(text.front() - '0');
    text.remove_prefix(1);
  }
  return static_cast<std::int32_t>(value);
}

// The order of the cache (_dl_cache_libcmp): numbers count as such, and come after all else.
int compare(std::string_view a, std::string_view b) {
  while (!a.empty()) {
    if (b.empty()) return 1;
    if (is_digit(a.front()) && is_digit(b.front())) {
      const std::int32_t x = take_number(a);
      const std::int32_t y = take_number(b);
      if (x != y) return x < y ? -1 : 1;
    } else if (is_digit(a.front())) {
      return 1;
    } else if (is_digit(b.front())) {
      return -1;
    } else if (a.front() != b.front()) {
      return a.front() < b.front() ? -1 : 1;
    } else {
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  return b.empty() ? 0 : -1;
}

}  // namespace

std::optional<LibraryCache> LibraryCache::read(std::span<const std::byte> file,
                                               const LoaderFacts& facts, Diagnostics& diagnostics) {
  Header header;
  if (!read_at(file, 0, header) || std::string_view(header.magic, sizeof header.magic) != kMagic ||
      ((header.flags & kEndianMask) != 0 && (header.flags & kEndianMask) != kLittleEndian)) {
    diagnostics.report("not a cache of libraries of this format");
    return {};
  }
  if (header.count > (file.size() - sizeof header) / sizeof(Entry)) {
    diagnostics.report("entries outside the file", header.count);
    return {};
  }
  LibraryCache result;
  result.file_ = file;
  result.count_ = header.count;
  result.capabilities_ = facts.capabilities;
  result.platform_ = facts.platform_number < 64 ? std::uint64_t{1} << facts.platform_number
                                                : facts.platform_number;
  if (!facts.subdirectories.empty()) {
    result.level_ = static_cast<unsigned>(facts.subdirectories.size());
  }
  if (header.extensions != 0 &&
      !result.read_subdirectories(header.extensions, facts, diagnostics)) {
    return {};
  }
  return result;
}

bool LibraryCache::read_subdirectories(std::uint32_t offset, const LoaderFacts& facts,
                                       Diagnostics& diagnostics) {
  ExtensionHeader head;
  if (!read_at(file_, offset, head) || head.magic != kExtensionMagic || offset % 4 != 0) {
    diagnostics.report("an extension outside the file", offset);
    return false;
  }
  std::uint64_t at = offset + sizeof head;
  for (std::uint32_t i = 0; i < head.count; ++i, at += sizeof(Section)) {
    Section section;
    if (!read_at(file_, at, section) || section.offset > file_.size() ||
        section.size > file_.size() - section.offset) {
      diagnostics.report("an extension outside the file", offset);
      return false;
    }
    if (section.tag != kSubdirectoriesTag) continue;
    priorities_.clear();
    for (std::uint32_t from = 0; section.size - from >= sizeof(std::uint32_t); from += 4) {
      std::uint32_t name_at = 0;
      read_at(file_, std::uint64_t{section.offset} + from, name_at);
      const auto name = string(name_at);
      const auto known =
          std::find(facts.subdirectories.begin(), facts.subdirectories.end(), name.value_or(""));
      priorities_.push_back(known == facts.subdirectories.end()
                                ? 0
                                : static_cast<std::uint32_t>(known - facts.subdirectories.begin()) +
                                      1);
    }
  }
  return true;
}

LibraryCache::Entry LibraryCache::entry(std::size_t i) const {
  Entry result{};
  read_at(file_, sizeof(Header) + i * sizeof result, result);
  return result;
}

std::optional<std::string_view> LibraryCache::string(std::uint32_t offset) const {
  if (offset >= file_.size()) return {};
  const std::string_view rest(reinterpret_cast<const char*>(file_.data()) + offset,
                              file_.size() - offset);
  const auto end = rest.find('\0');
  if (end == std::string_view::npos) return {};
  return rest.substr(0, end);
}

std::uint32_t LibraryCache::priority_of(const Entry& entry) const {
  const auto number = static_cast<std::uint32_t>(entry.capabilities);
  const auto level = static_cast<std::uint32_t>(entry.capabilities >> 32) & kLevelMask;
  if (number >= priorities_.size() || level > level_) return 0;
  return priorities_[number];
}

// For entries of the older kind.
bool LibraryCache::fits_processor(const Entry& entry) const {
  if ((entry.capabilities & ~(capabilities_ | kPlatformMask | kTlsBit)) != 0) return false;
  const std::uint64_t platform = entry.capabilities & kPlatformMask;
  return platform == 0 || platform == platform_;
}

std::optional<std::string_view> LibraryCache::find(std::string_view name) const {
  // The file is in falling order.
  std::size_t low = 0;
  std::size_t high = count_;
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const auto there = string(entry(middle).name);
    if (!there) return {};
    if (compare(name, *there) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  std::optional<std::string_view> best;
  std::uint32_t best_priority = 0;
  for (std::size_t i = low; i < count_; ++i) {
    const Entry e = entry(i);
    const auto there = string(e.name);
    if (!there || compare(name, *there) != 0) break;
    const auto path = string(e.path);
    if ((e.flags != kAnyElf && e.flags != kThisMachine) || !path) continue;
    const auto high_word = static_cast<std::uint32_t>(e.capabilities >> 32);
    if ((high_word & ~kLevelMask) == kForSubdirectory) {
      const std::uint32_t priority = priority_of(e);
      if (priority == 0 || (best_priority != 0 && priority >= best_priority)) continue;
      best = path;
      best_priority = priority;
      continue;
    }
    if (best_priority != 0) break;  // those of subdirectories come first
    if (!fits_processor(e)) continue;
    if (!best || e.flags == kThisMachine) best = path;
    if (e.flags == kThisMachine) break;
  }
  return best;
}

}  // namespace prewarm::image
