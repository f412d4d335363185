// SPDX-License-Identifier: MIT
//
// The mappings of a program that parks: fewer of them, and what each is. Restrictions: see agent.h.
#include <sys/mman.h>
#include <sys/uio.h>

#include "park/agent_memory.h"

namespace prewarm::agent {
namespace {

char text[128 * 1024];  // /proc/self/maps

struct Mapping {
  std::uint64_t start;
  std::uint64_t end;
  const char* permissions;  // "r-xp"
  const char* name;         // up to the end of the line
};

// Calls visit(mapping) for each line.
template <class Visit>
void for_each_mapping(Visit visit) {
  const long n = read_file("/proc/self/maps", text, sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  for (const char* at = text; *at != '\0';) {
    Mapping m{};
    m.start = read_hexadecimal(at);
    ++at;
    m.end = read_hexadecimal(at);
    m.permissions = at + 1;
    // Behind permissions, offset, device and inode.
    for (int field = 0; field < 4; ++field) {
      while (*at == ' ') ++at;
      while (*at != ' ' && *at != '\n' && *at != '\0') ++at;
    }
    while (*at == ' ') ++at;
    m.name = at;
    while (*at != '\n' && *at != '\0') ++at;
    if (*at == '\n') ++at;
    visit(m);
  }
}

// Puts a copy of [start, end) in its place: one mapping instead of several.
void gather(std::uint64_t start, std::uint64_t end) {
  const auto size = static_cast<long>(end - start);
  const long copied = os::raw_syscall(SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copied < 0 && copied > -4096) return;
  // A file that has become shorter would end us if we read it ourselves.
  const iovec to{reinterpret_cast<void*>(copied), static_cast<std::size_t>(size)};
  const iovec from{reinterpret_cast<void*>(start), static_cast<std::size_t>(size)};
  const long self = os::raw_syscall(SYS_getpid);
  if (os::raw_syscall(SYS_process_vm_readv, self, os::arg(&to), 1, os::arg(&from), 1, 0) != size) {
    os::raw_syscall(SYS_munmap, copied, size);
    return;
  }
  os::raw_syscall(SYS_mprotect, copied, size, PROT_READ);
  os::raw_syscall(SYS_mremap, copied, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                  static_cast<long>(start));
}

}  // namespace

void gather_locale_files() {
  constexpr char kPlace[] = "/usr/lib/locale/";
  constexpr std::uint64_t kSmall = 4 * kPage;
  constexpr unsigned kMost = 16;
  struct {
    std::uint64_t start;
    std::uint64_t end;
    unsigned files;
  } rows[kMost] = {};
  unsigned count = 0;
  for_each_mapping([&](const Mapping& m) {
    if (!starts_with(m.name, kPlace) || !starts_with(m.permissions, "r--p")) return;
    if (m.end - m.start > kSmall) return;
    if (count > 0 && rows[count - 1].end == m.start) {
      rows[count - 1].end = m.end;
      ++rows[count - 1].files;
    } else if (count < kMost) {
      rows[count++] = {m.start, m.end, 1};
    }
  });
  for (unsigned i = 0; i < count; ++i) {
    if (rows[i].files > 1) gather(rows[i].start, rows[i].end);
  }
}

void note_regions() {
  const long pagemap = open_pagemap();
  if (pagemap < 0) return;
  for_each_mapping([pagemap](const Mapping& m) {
    Region region{};
    region.start = m.start;
    region.end = m.end;
    const bool readable = m.permissions[0] == 'r';
    region.writable = m.permissions[1] == 'w';
    region.shared = m.permissions[3] == 's';
    // The kernel's own mappings need no touching; those above user space can't be.
    const bool special = starts_with(m.name, "[v");
    if (!readable || (region.shared && region.writable) || special) return;
    if (region_count == kMaxRegions) return;
    walk_pages(region.start, region.end, pagemap, [&region](std::uint64_t, std::uint64_t entry) {
      const bool own = (entry & kPresent) != 0 && (entry & kFileOrShared) == 0;
      region.own_pages = region.own_pages || (own && !region.shared);
    });
    regions[region_count++] = region;
  });
  os::raw_syscall(SYS_close, pagemap);
}

}  // namespace prewarm::agent
