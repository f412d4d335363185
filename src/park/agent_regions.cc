// SPDX-License-Identifier: MIT
//
// What is mapped, and which of its pages are there. Restrictions: see agent.h.
#include <fcntl.h>

#include "park/agent.h"

namespace prewarm::agent {
namespace {

std::uint64_t hexadecimal(const char*& at) {
  std::uint64_t value = 0;
  for (;; ++at) {
    if (*at >= '0' && *at <= '9') {
      value = value * 16 + static_cast<std::uint64_t>(*at - '0');
    } else if (*at >= 'a' && *at <= 'f') {
      value = value * 16 + static_cast<std::uint64_t>(*at - 'a' + 10);
    } else {
      return value;
    }
  }
}

// "START-END rwxp OFFSET MAJOR:MINOR INODE   NAME". False: it isn't private memory of ours.
bool parse_line(const char* at, const char* end, Region& region) {
  region.start = hexadecimal(at);
  ++at;
  region.end = hexadecimal(at);
  region.writable = at[2] == 'w';
  const bool readable = at[1] == 'r';
  const bool shared = at[4] == 's';
  const bool named = end - at > 8 && end[-1] == ']';
  region.is_stack = named && end[-2] == 'k';
  // The kernel's own mappings need no touching; those above user space can't be.
  const bool special = named && end[-2] != 'k' && end[-2] != 'p';
  return readable && !shared && !special;
}

}  // namespace

bool for_each_region(void (*visit)(const Region&, void*), void* data) {
  const long maps =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/maps"), O_RDONLY | O_CLOEXEC);
  if (maps < 0) return false;
  static char text[16384];
  std::size_t used = 0;
  long n;
  while ((n = os::raw_syscall(SYS_read, maps, os::arg(text + used),
                              static_cast<long>(sizeof text - used))) > 0) {
    used += static_cast<std::size_t>(n);
    std::size_t line = 0;
    for (std::size_t i = 0; i < used; ++i) {
      if (text[i] != '\n') continue;
      Region region{};
      if (parse_line(text + line, text + i, region)) visit(region, data);
      line = i + 1;
    }
    copy(text, text + line, used - line);
    used -= line;
  }
  os::raw_syscall(SYS_close, maps);
  return n == 0 && used == 0;
}

void for_each_page(const Region& region, long pagemap,
                   void (*visit)(std::uint64_t address, std::uint64_t entry, void*), void* data) {
  std::uint64_t entries[256];
  for (std::uint64_t at = region.start; at < region.end;) {
    const std::uint64_t pages = (region.end - at) / kPage;
    const std::uint64_t wanted = pages < 256 ? pages : 256;
    const long n =
        os::raw_syscall(SYS_pread64, pagemap, os::arg(entries), static_cast<long>(wanted * 8),
                        static_cast<long>(at / kPage * 8));
    if (n <= 0) return;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(n) / 8; ++i, at += kPage) {
      if ((entries[i] & kPagePresent) != 0) visit(at, entries[i], data);
    }
  }
}

}  // namespace prewarm::agent
