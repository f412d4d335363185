// SPDX-License-Identifier: MIT
#include "image/pack_constructors.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

namespace prewarm::image {
namespace {

// In patterns: four bytes of a distance, counted from behind them (kDistance) or from behind the
// one-byte operand that follows (kDistance1).
constexpr int kDistance = -1;
constexpr int kDistance1 = -2;

// _init: sub $8,%rsp; mov __gmon_start__@GOT,%rax; test; je; call *%rax; add $8,%rsp; ret
constexpr std::array kInit = {0x48, 0x83, 0xec, 0x08, 0x48, 0x8b, 0x05, kDistance, 0x48, 0x85,
                              0xc0, 0x74, 0x02, 0xff, 0xd0, 0x48, 0x83, 0xc4,      0x08, 0xc3};
// _fini: sub $8,%rsp; add $8,%rsp; ret
constexpr std::array kFini = {0x48, 0x83, 0xec, 0x08, 0x48, 0x83, 0xc4, 0x08, 0xc3};
// frame_dummy: jmp register_tm_clones
constexpr std::array kFrameDummy = {0xe9, kDistance};
// register_tm_clones: nothing if __TMC_END__ - __TMC_LIST__ is 0 or there is no
// _ITM_registerTMCloneTable
constexpr std::array kRegister = {
    0x48, 0x8d, 0x3d, kDistance, 0x48, 0x8d, 0x35, kDistance, 0x48, 0x29,      0xfe, 0x48,
    0x89, 0xf0, 0x48, 0xc1,      0xee, 0x3f, 0x48, 0xc1,      0xf8, 0x03,      0x48, 0x01,
    0xc6, 0x48, 0xd1, 0xfe,      0x74, 0x14, 0x48, 0x8b,      0x05, kDistance, 0x48, 0x85,
    0xc0, 0x74, 0x08, 0xff,      0xe0, 0x66, 0x0f, 0x1f,      0x44, 0x00,      0x00, 0xc3};
// deregister_tm_clones: the like
constexpr std::array kDeregister = {0x48,      0x8d, 0x3d, kDistance, 0x48, 0x8d, 0x05, kDistance,
                                    0x48,      0x39, 0xf8, 0x74,      0x15, 0x48, 0x8b, 0x05,
                                    kDistance, 0x48, 0x85, 0xc0,      0x74, 0x09, 0xff, 0xe0,
                                    0x0f,      0x1f, 0x80, 0x00,      0x00, 0x00, 0x00, 0xc3};
// __do_global_dtors_aux: if (!completed) { if (__cxa_finalize) __cxa_finalize(__dso_handle);
// deregister_tm_clones(); completed = 1; }
constexpr std::array kDestructors = {
    0x80,       0x3d,       kDistance1, 0x00, 0x75,      0x2b, 0x55,      0x48, 0x83,
    0x3d,       kDistance1, 0x00,       0x48, 0x89,      0xe5, 0x74,      0x0c, 0x48,
    0x8b,       0x3d,       kDistance,  0xe8, kDistance, 0xe8, kDistance, 0xc6, 0x05,
    kDistance1, 0x01,       0x5d,       0xc3, 0x0f,      0x1f, 0x00,      0xc3};
// An entry of .plt.got or .plt: jmp *slot
constexpr std::array kPlt = {0xff, 0x25, kDistance};

constexpr std::array<std::byte, 4> kEndbr64 = {std::byte{0xf3}, std::byte{0x0f}, std::byte{0x1e},
                                               std::byte{0xfa}};

// A library's code, by addresses of its file.
class Code {
 public:
  explicit Code(const ElfFile& elf) : elf_(elf) {}

  // Where the distances of the pattern lead if the code at `address` is that, with or without an
  // endbr64 before it.
  std::optional<std::vector<std::uint64_t>> match(std::uint64_t address,
                                                  std::span<const int> pattern) const {
    auto code = elf_.bytes_from(address);
    if (code.size() >= kEndbr64.size() && std::ranges::equal(code.first(4), kEndbr64)) {
      code = code.subspan(4);
      address += 4;
    }
    std::vector<std::uint64_t> targets;
    std::size_t at = 0;
    for (const auto element : pattern) {
      const std::size_t length = element < 0 ? 4 : 1;
      if (code.size() - std::min(code.size(), at) < length) return {};
      if (element >= 0) {
        if (code[at] != static_cast<std::byte>(element)) return {};
      } else {
        std::int32_t distance = 0;
        std::memcpy(&distance, code.data() + at, sizeof distance);
        targets.push_back(address + at + 4 + (element == kDistance1 ? 1 : 0) +
                          static_cast<std::uint64_t>(std::int64_t{distance}));
      }
      at += length;
    }
    return targets;
  }

  // How many groups of four bytes could be a distance to this address, an immediate operand of up
  // to four bytes between them or not.
  std::size_t mentions(std::uint64_t wanted) const {
    std::size_t count = 0;
    for (const auto& segment : elf_.loads()) {
      if ((segment.p_flags & PF_X) == 0) continue;
      const auto code = elf_.bytes_at(segment.p_vaddr, segment.p_filesz);
      for (std::size_t i = 0; i + 4 <= code.size(); ++i) {
        std::int32_t distance = 0;
        std::memcpy(&distance, code.data() + i, sizeof distance);
        const auto behind =
            segment.p_vaddr + i + 4 + static_cast<std::uint64_t>(std::int64_t{distance});
        const auto immediate = wanted - behind;
        if (immediate <= 2 || immediate == 4) ++count;
      }
    }
    return count;
  }

 private:
  const ElfFile& elf_;
};

class Judge {
 public:
  Judge(const ElfFile& elf, std::uint64_t base, std::uint64_t finalize, CaptureMemory& memory)
      : elf_(elf), code_(elf), base_(base), finalize_(finalize), memory_(memory) {}

  bool is_idle() {
    // Most libraries that aren't idle have more constructors than one.
    constexpr std::uint64_t kOne = 8;
    if (elf_.init_array().size > kOne || elf_.fini_array().size > kOne) return false;
    return init() && init_array() && fini() && fini_array();
  }

 private:
  std::uint64_t word(std::uint64_t address) { return memory_.word(base_ + address); }

  bool init() {
    const auto function = elf_.tag(DT_INIT);
    if (!function) return true;
    const auto targets = code_.match(*function, kInit);
    return targets && word((*targets)[0]) == 0;
  }

  bool init_array() {
    const auto array = elf_.init_array();
    if (array.size == 0) return true;
    const auto dummy = code_.match(word(array.address) - base_, kFrameDummy);
    if (!dummy) return false;
    const auto targets = code_.match((*dummy)[0], kRegister);
    return targets && ((*targets)[0] == (*targets)[1] || word((*targets)[2]) == 0);
  }

  bool fini() {
    const auto function = elf_.tag(DT_FINI);
    return !function || code_.match(*function, kFini);
  }

  bool fini_array() {
    const auto array = elf_.fini_array();
    if (array.size == 0) return true;
    const auto targets = code_.match(word(array.address) - base_, kDestructors);
    if (!targets) return false;
    const auto slot = (*targets)[1];
    const auto handle = (*targets)[2];
    const auto plt = code_.match((*targets)[3], kPlt);
    const auto clones = code_.match((*targets)[4], kDeregister);
    return plt && (*plt)[0] == slot && word(slot) == finalize_ && clones &&
           ((*clones)[0] == (*clones)[1] || word((*clones)[2]) == 0) && is_only_ours(handle);
  }

  // `__dso_handle` holds its own address, and nothing but __do_global_dtors_aux refers to it.
  bool is_only_ours(std::uint64_t handle) {
    if (word(handle) != base_ + handle || code_.mentions(handle) != 1) return false;
    Diagnostics diagnostics;
    const auto relative = elf_.relative_words(diagnostics);
    if (!relative) return false;
    for (const auto address : *relative) {
      if (address != handle && word(address) == base_ + handle) return false;
    }
    for (const auto& relocation : elf_.relocations()) {
      if (relocation.r_offset != handle &&
          static_cast<std::uint64_t>(relocation.r_addend) == handle) {
        return false;
      }
    }
    return true;
  }

  const ElfFile& elf_;
  Code code_;
  std::uint64_t base_;
  std::uint64_t finalize_;
  CaptureMemory& memory_;
};

}  // namespace

bool has_idle_constructors(const ElfFile& elf, std::uint64_t base, std::uint64_t finalize,
                           CaptureMemory& memory) {
  return Judge(elf, base, finalize, memory).is_idle();
}

}  // namespace prewarm::image
