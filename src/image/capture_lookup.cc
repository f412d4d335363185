// SPDX-License-Identifier: MIT
#include "image/capture_lookup.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <vector>

namespace prewarm::image {
namespace {

using os::Result;

constexpr int kAny = -1;

// openaux, as GCC compiles it for x86-64 (seen in Debian's libc6 2.36-9+deb12u14, by gdb's
// disassemble): struct openaux_args is in rbx, and args->aux gets the result.
constexpr std::array kCode = {
    0x53,                                      // push %rbx
    0x48, 0x89, 0xfb,                          // mov %rdi,%rbx
    0x48, 0x8b, 0x3f,                          // mov (%rdi),%rdi           args->map
    0x8b, 0x4b, 0x08,                          // mov 0x8(%rbx),%ecx        args->trace_mode
    0x48, 0x8b, 0x73, 0x18,                    // mov 0x18(%rbx),%rsi       args->name
    0x0f, 0xb6, 0x87, kAny, kAny, 0x00, 0x00,  // movzbl …(%rdi),%eax       map->l_type
    0x44, 0x8b, 0x43, 0x0c,                    // mov 0xc(%rbx),%r8d        args->open_mode
    0x4c, 0x8b, 0x4f, 0x30,                    // mov 0x30(%rdi),%r9        map->l_ns
    0x89, 0xc2,                                // mov %eax,%edx
    0x83, 0xe2, 0x03,                          // and $0x3,%edx
    0xa8, 0x03,                                // test $0x3,%al
    0xb8, 0x01, 0x00, 0x00, 0x00,              // mov $0x1,%eax
    0x0f, 0x44, 0xd0,                          // cmove %eax,%edx
    0xe8, kAny, kAny, kAny, kAny,              // call _dl_map_object
    0x48, 0x89, 0x43, 0x20,                    // mov %rax,0x20(%rbx)       args->aux
    0x5b,                                      // pop %rbx
    0xc3,                                      // ret
};
constexpr std::size_t kCallBytes = 5;
constexpr std::size_t kStoreBytes = 4;
constexpr std::size_t kCallAt = kCode.size() - 2 - kStoreBytes - kCallBytes;
constexpr std::uint8_t kCall = 0xe8;
constexpr std::uint8_t kStore = 0x48;  // its first byte
constexpr std::uint64_t kResult = 0x20;

// More libraries than any program has: a list that doesn't end isn't one.
constexpr unsigned kMostLibraries = 1 << 20;

std::unexpected<Error> not_understood() {
  return os::failed_with(EPROTO, "capture: follow ld.so's list of libraries");
}

}  // namespace

Result<std::unique_ptr<LookupShortcut>> LookupShortcut::install(Tracee& tracee,
                                                                std::uint64_t code) {
  const auto mapping = tracee.mapping_at(code);
  if (!mapping) return std::unexpected(mapping.error());
  std::vector<std::uint8_t> bytes(mapping->end - mapping->begin);
  if (auto done = tracee.read(mapping->begin, bytes.data(), bytes.size()); !done) {
    return std::unexpected(done.error());
  }
  const auto same = [](std::uint8_t there, int known) { return known == kAny || there == known; };
  const auto at = std::search(bytes.begin(), bytes.end(), kCode.begin(), kCode.end(), same);
  if (at == bytes.end()) return nullptr;
  if (std::search(at + 1, bytes.end(), kCode.begin(), kCode.end(), same) != bytes.end()) {
    return nullptr;
  }
  const auto call = mapping->begin + static_cast<std::uint64_t>(at - bytes.begin()) + kCallAt;
  std::int32_t distance = 0;
  std::memcpy(&distance, &at[kCallAt + 1], sizeof distance);
  const auto target = call + kCallBytes + static_cast<std::uint64_t>(std::int64_t{distance});
  if (target < mapping->begin || target >= mapping->end) return nullptr;
  for (const auto place : {call, call + kCallBytes}) {
    if (auto done = tracee.write(place, &kBreakpoint, 1); !done) {
      return std::unexpected(done.error());
    }
  }
  return std::unique_ptr<LookupShortcut>(new LookupShortcut(tracee, call, target));
}

Result<void> LookupShortcut::remove() {
  if (auto done = tracee_.write(call_, &kCall, 1); !done) return done;
  return tracee_.write(call_ + kCallBytes, &kStore, 1);
}

bool LookupShortcut::is_here(const Registers& registers) const {
  const auto stopped_at = registers.rip - sizeof kBreakpoint;
  return stopped_at == call_ || stopped_at == call_ + kCallBytes;
}

Result<void> LookupShortcut::answer(const Registers& registers) {
  return registers.rip - sizeof kBreakpoint == call_ ? asked(registers) : found(registers);
}

Result<void> LookupShortcut::asked(Registers registers) {
  if (head_ == 0) {
    if (auto done = find_end(registers.rdi); !done) return done;
  }
  auto name = tracee_.read_string(registers.rsi);
  if (!name) return std::unexpected(name.error());
  const auto known = maps_.find(*name);
  if (known != maps_.end()) {
    ++counts_.answered;
    return hand_over(registers, known->second);
  }
  asked_ = std::move(*name);
  // A name with a slash is compared with paths, too.
  if (!asked_.contains('/') && !sonames_.contains(asked_)) {
    if (auto done = shorten(); !done) return done;
  }
  const auto back = call_ + kCallBytes;
  registers.rsp -= sizeof back;
  registers.rip = target_;
  if (auto done = tracee_.write(registers.rsp, &back, sizeof back); !done) return done;
  return tracee_.set_registers(registers);
}

Result<void> LookupShortcut::opened(int fd) {
  if (asked_.empty()) return {};
  struct stat s{};
  const auto path = "/proc/" + std::to_string(tracee_.pid()) + "/fd/" + std::to_string(fd);
  const bool is_new = ::stat(path.c_str(), &s) == 0 && files_.emplace(s.st_dev, s.st_ino).second;
  return is_new ? Result<void>() : lengthen();
}

Result<void> LookupShortcut::found(const Registers& registers) {
  ++(is_short_ ? counts_.shortened : counts_.whole);
  if (auto done = lengthen(); !done) return done;
  // One that was being loaded when this was installed belongs to those before `head_`.
  if (head_ != 0) {
    if (auto done = add_new(); !done) return done;
    if (!asked_.empty() && registers.rax != 0) maps_.emplace(asked_, registers.rax);
  }
  asked_.clear();
  return hand_over(registers, registers.rax);
}

// As if the call had just returned, and its result had been stored.
Result<void> LookupShortcut::hand_over(Registers registers, std::uint64_t map) {
  if (auto done = tracee_.write(registers.rbx + kResult, &map, sizeof map); !done) return done;
  registers.rax = map;
  registers.rip = call_ + kCallBytes + kStoreBytes;
  return tracee_.set_registers(registers);
}

Result<void> LookupShortcut::find_end(std::uint64_t map) {
  for (unsigned i = 0; i < kMostLibraries; ++i) {
    if (auto done = look_at(map); !done) return done;
    const auto next = tracee_.read_word(map + offsetof(link_map, l_next));
    if (!next) return std::unexpected(next.error());
    if (*next == 0) {
      head_ = last_ = map;
      return {};
    }
    map = *next;
  }
  return not_understood();
}

// ld.so adds behind the last.
Result<void> LookupShortcut::shorten() {
  if (may_miss_ || first_ == last_ || first_ == 0) return {};
  is_short_ = true;
  return tracee_.write(head_ + offsetof(link_map, l_next), &last_, sizeof last_);
}

Result<void> LookupShortcut::lengthen() {
  if (!is_short_) return {};
  is_short_ = false;
  return tracee_.write(head_ + offsetof(link_map, l_next), &first_, sizeof first_);
}

Result<void> LookupShortcut::add_new() {
  const auto next = tracee_.read_word(last_ + offsetof(link_map, l_next));
  if (!next) return std::unexpected(next.error());
  if (*next == 0) return {};
  if (first_ == 0) first_ = *next;
  last_ = *next;
  return look_at(last_);
}

// What its dynamic section says.
Result<void> LookupShortcut::look_at(std::uint64_t map) {
  link_map head{};
  if (auto done = tracee_.read(map, &head, sizeof head); !done) return done;
  const auto entries = tracee_.read_dynamic(reinterpret_cast<std::uint64_t>(head.l_ld));
  if (!entries) return std::unexpected(entries.error());
  std::optional<std::uint64_t> name;
  std::uint64_t strings = 0;
  for (const auto& entry : *entries) {
    if (entry.d_tag == DT_SONAME) name = entry.d_un.d_val;
    if (entry.d_tag == DT_STRTAB) strings = entry.d_un.d_ptr;
    if (entry.d_tag == DT_AUXILIARY) may_miss_ = true;
  }
  if (!name || strings == 0) return {};
  // ld.so adds the base to what is in a dynamic section that can be written.
  if (strings < head.l_addr) strings += head.l_addr;
  auto soname = tracee_.read_string(strings + *name);
  if (!soname) return std::unexpected(soname.error());
  sonames_.insert(std::move(*soname));
  return {};
}

}  // namespace prewarm::image
