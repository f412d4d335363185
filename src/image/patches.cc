// SPDX-License-Identifier: MIT
#include "image/patches.h"

#include <cpuid.h>
#include <errno.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

namespace prewarm::image {
namespace {

using os::Result;

struct RoleValue {
  PatchRole role;
  std::uint64_t value;
};

std::uint64_t canary_of(const StartAnchors& anchors) { return anchors.random_words[0] & ~0xffULL; }

// What a word of each role is in the process with these anchors. 64-bit roles.
std::array<RoleValue, 11> role_values(const StartAnchors& anchors) {
  return {{{PatchRole::canary, canary_of(anchors)},
           {PatchRole::pointer_guard, anchors.random_words[1]},
           {PatchRole::stack_start, anchors.stack_start},
           {PatchRole::argv, anchors.argv},
           {PatchRole::environment, anchors.environment},
           {PatchRole::auxv, anchors.auxv},
           {PatchRole::random, anchors.random},
           {PatchRole::platform, anchors.platform},
           {PatchRole::program_name, anchors.program_name},
           {PatchRole::argv_0, anchors.argv_0},
           {PatchRole::heap_start, anchors.heap_start}}};
}

std::uint64_t load(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

class Comparison {
 public:
  Comparison(const Capture& first, const Capture& second)
      : first_(first),
        second_(second),
        first_roles_(role_values(first.anchors)),
        second_roles_(role_values(second.anchors)) {}

  Result<Differences> run() {
    if (first_.regions.size() != second_.regions.size()) return differs(0, "number of mappings");
    for (std::size_t i = 0; i < first_.regions.size(); ++i) {
      if (auto done = compare(first_.regions[i], second_.regions[i]); !done) {
        return std::unexpected(done.error());
      }
    }
    return std::move(found_);
  }

 private:
  static std::unexpected<Error> differs(std::uint64_t address, const char* what) {
    std::array<char, 80> text{};
    std::snprintf(text.data(), text.size(), "%s at %#lx", what,
                  static_cast<unsigned long>(address));
    return os::failed_with(ENOTSUP, "capture: not understood what differs from start to start",
                           text.data());
  }

  // Where in the second arena is what is at `address` in the first; other addresses stay.
  std::uint64_t counterpart(std::uint64_t address) const {
    const auto at = address - first_.arena_begin;
    return at <= first_.arena_end - first_.arena_begin ? second_.arena_begin + at : address;
  }

  Result<void> compare(const CapturedRegion& a, const CapturedRegion& b) {
    if (counterpart(a.address) != b.address || a.size != b.size ||
        a.bytes.size() != b.bytes.size()) {
      return differs(a.address, "mapping");
    }
    for (std::size_t at = 0; at + 8 <= a.bytes.size(); at += 8) {
      const auto x = load(a.bytes, at);
      const auto y = load(b.bytes, at);
      if (x == y) continue;
      if (counterpart(x) == y) {
        found_.slides.push_back(a.address + at);
      } else if (auto done = explain(a.address + at, x, y); !done) {
        return done;
      }
    }
    return {};
  }

  Result<void> explain(std::uint64_t address, std::uint64_t x, std::uint64_t y) {
    if (first_.thread.rseq_area != 0 && address - first_.thread.rseq_area < 32)
      return {};  // kernel's
    for (std::size_t i = 0; i < first_roles_.size(); ++i) {
      if (first_roles_[i].value == x && second_roles_[i].value == y) {
        found_.patches.push_back({address, first_roles_[i].role, 0});
        return {};
      }
    }
    if (explain_halves(address, x, y)) return {};
    if (in_loader(address) && is_processor(x) && is_processor(y)) return {};
    if (is_time(address, x, first_.anchors) && is_time(address, y, second_.anchors)) return {};
    return differs(address, "word");
  }

  // 32-bit words: the thread's id and argc.
  bool explain_halves(std::uint64_t address, std::uint64_t x, std::uint64_t y) {
    std::array<ImagePatch, 2> found;
    std::size_t count = 0;
    for (unsigned half = 0; half < 2; ++half) {
      const auto a = static_cast<std::uint32_t>(x >> (32 * half));
      const auto b = static_cast<std::uint32_t>(y >> (32 * half));
      if (a == b) continue;
      ImagePatch patch{address + 4 * half, PatchRole::count, 0};
      if (a == first_.anchors.thread_id && b == second_.anchors.thread_id) {
        patch.role = PatchRole::thread_id;
      } else if (a == first_.anchors.argc && b == second_.anchors.argc) {
        patch.role = PatchRole::argc;
      } else {
        return false;
      }
      found[count++] = patch;
    }
    found_.patches.insert(found_.patches.end(), found.begin(),
                          found.begin() + static_cast<long>(count));
    return true;
  }

  bool in_loader(std::uint64_t address) const {
    constexpr std::uint64_t kLoaderSpan = 0x40000;
    return address - first_.loader_base < kLoaderSpan;
  }

  // ld.so keeps what CPUID leaf 1 has said; the highest byte of ebx is the number of the processor
  // that it ran on. It uses the rest.
  static bool is_processor(std::uint64_t value) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
    const std::uint64_t number_apart = (std::uint64_t{c} << 32) | (b & 0x00ff'ffff);
    return (value & 0xffff'ffff'00ff'ffff) == number_apart;
  }

  // ld.so takes the time at which it was started, and how long linking takes, for
  // LD_DEBUG=statistics. Nothing reads these words later.
  bool is_time(std::uint64_t address, std::uint64_t value, const StartAnchors& anchors) const {
    const auto longest = anchors.clock_end - anchors.clock_begin;
    return in_loader(address) && (value - anchors.clock_begin <= longest || value <= longest);
  }

  const Capture& first_;
  const Capture& second_;
  std::array<RoleValue, 11> first_roles_, second_roles_;
  Differences found_;
};

// The object whose mappings hold the address: the one with the highest base not above it.
const CapturedObject* object_at(const Capture& capture, std::uint64_t address) {
  const CapturedObject* best = nullptr;
  for (const auto& object : capture.objects) {
    if (object.base <= address && (best == nullptr || object.base > best->base)) best = &object;
  }
  return best;
}

}  // namespace

Result<Differences> compare_captures(const Capture& first, const Capture& second) {
  if (first.arena_end - first.arena_begin != second.arena_end - second.arena_begin) {
    return os::failed_with(EINVAL, "compare captures: their sizes differ");
  }
  return Comparison(first, second).run();
}

std::vector<std::uint64_t> find_slides(const Capture& capture) {
  std::vector<std::uint64_t> slides;
  const auto span = capture.arena_end - capture.arena_begin;
  for (const auto& region : capture.regions) {
    for (std::size_t at = 0; at + 8 <= region.bytes.size(); at += 8) {
      if (load(region.bytes, at) - capture.arena_begin <= span)
        slides.push_back(region.address + at);
    }
  }
  return slides;
}

namespace {

// Words that can only be this process's own, and aren't among the patches, which are by address.
// Programs have copies of ld.so's variables (`__libc_stack_end`): those are patched like these.
Result<void> add_own_words(const Capture& capture, std::vector<ImagePatch>& patches) {
  const auto& anchors = capture.anchors;
  const auto roles = role_values(anchors);
  std::vector<ImagePatch> found;
  for (const auto& region : capture.regions) {
    for (std::size_t at = 0; at + 8 <= region.bytes.size(); at += 8) {
      const auto value = load(region.bytes, at);
      const bool own = value - anchors.stack_begin < anchors.stack_end - anchors.stack_begin ||
                       value == canary_of(anchors) || value == anchors.random_words[1];
      if (!own) continue;
      const auto address = region.address + at;
      const auto next =
          std::lower_bound(patches.begin(), patches.end(), address,
                           [](const auto& p, std::uint64_t a) { return p.address < a; });
      if (next != patches.end() && next->address == address) continue;
      const auto role =
          std::ranges::find_if(roles, [&](const auto& one) { return one.value == value; });
      if (role == roles.end()) {
        return os::failed_with(ENOTSUP, "capture: not understood what belongs to one process");
      }
      found.push_back({address, role->role, 0});
    }
  }
  patches.insert(patches.end(), found.begin(), found.end());
  std::ranges::sort(patches, {}, &ImagePatch::address);
  return {};
}

}  // namespace

Result<std::vector<ImagePatch>> transfer_patches(const Capture& from,
                                                 const std::vector<ImagePatch>& patches,
                                                 const Capture& capture) {
  std::vector<ImagePatch> result;
  const auto* const thread_region = from.find(from.thread.thread_pointer);
  for (const auto& patch : patches) {
    const auto* object = object_at(from, patch.address);
    ImagePatch moved = patch;
    // The thread's block is in memory that no library has.
    if (thread_region != nullptr && from.find(patch.address) == thread_region) {
      moved.address = patch.address - from.thread.thread_pointer + capture.thread.thread_pointer;
    } else if (object == nullptr) {
      return os::failed_with(ENOTSUP, "find out whose a word is in another capture");
    } else {
      const auto same = std::find_if(capture.objects.begin(), capture.objects.end(),
                                     [&](const auto& o) { return o.path == object->path; });
      if (same == capture.objects.end()) {
        return os::failed_with(ENOTSUP, "find the same library in another capture", object->path);
      }
      moved.address = patch.address - object->base + same->base;
    }
    result.push_back(moved);
  }
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  if (auto done = add_own_words(capture, result); !done) return std::unexpected(done.error());
  return result;
}

}  // namespace prewarm::image
