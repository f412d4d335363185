// SPDX-License-Identifier: MIT
//
// The mappings of a program that parks: fewer of them, and what each is. Restrictions: see agent.h.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "park/agent_memory.h"

namespace prewarm::agent {
namespace {

// "START-END rwxp OFFSET MAJOR:MINOR INODE   NAME"
Mapping parse_line(const char* at) {
  Mapping m{};
  m.start = read_hexadecimal(at);
  ++at;
  m.end = read_hexadecimal(at);
  m.readable = at[1] == 'r';
  m.writable = at[2] == 'w';
  m.executable = at[3] == 'x';
  m.shared = at[4] == 's';
  for (int field = 0; field < 4; ++field) {
    while (*at == ' ') ++at;
    while (*at != ' ' && *at != '\0') ++at;
  }
  while (*at == ' ') ++at;
  m.name = at;
  return m;
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

bool each_mapping(void (*visit)(const Mapping&, void*), void* data) {
  const long maps =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/maps"), O_RDONLY | O_CLOEXEC);
  if (maps < 0) return false;
  const bool whole = each_piece(maps, ~std::size_t{0}, '\n',
                                [&](const char* line) { visit(parse_line(line), data); });
  os::raw_syscall(SYS_close, maps);
  return whole;
}

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
  each_mapping([&](const Mapping& m) {
    const bool plain = m.readable && !m.writable && !m.executable && !m.shared;
    if (!plain || !starts_with(m.name, kPlace)) return;
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
  each_mapping([pagemap](const Mapping& m) {
    if (!m.readable || (m.shared && m.writable) || m.is_special()) return;
    if (region_count == kMaxRegions) return;
    const bool anonymous = m.name[0] != '/';
    Region region{m.start, m.end, m.writable, m.shared, anonymous, false, false};
    walk_pages(region.start, region.end, pagemap, [&region](std::uint64_t, std::uint64_t entry) {
      const bool own = (entry & kPresent) != 0 && (entry & kFileOrShared) == 0;
      region.own_pages = region.own_pages || (own && !region.shared);
    });
    regions[region_count++] = region;
  });
  os::raw_syscall(SYS_close, pagemap);
}

}  // namespace prewarm::agent
