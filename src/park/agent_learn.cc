// SPDX-License-Identifier: MIT
//
// Learning which pages a program touches, so that main doesn't meet them as page faults. The first
// clone that is released looks at its own page tables when it exits. From then on
//   * the zygote has the pages that are only read in its page tables, and fork copies those;
//   * a new clone makes its own copies of the pages that are written, while it is still parked.
// Per page, a fault in main costs 1 to 2 µs, populating 0.2, copying by fork 0.05.
// Restrictions: see agent.h.
#include <fcntl.h>
#include <sys/mman.h>

#include "park/agent.h"

namespace prewarm::agent {
namespace {

using park::PageRange;

constexpr unsigned kMaxRegions = 512;
constexpr std::size_t kPage = 4096;
constexpr int kPopulateRead = 22;   // MADV_POPULATE_READ, Linux 5.14
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE

// /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst).
constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;
constexpr std::uint64_t kFileOrShared = std::uint64_t{1} << 61;
constexpr std::uint64_t kExclusive = std::uint64_t{1} << 56;

struct Region {
  std::uint64_t start;
  std::uint64_t end;
  bool writable;
  bool shared;
  bool own_pages;  // relocated, for example: not all of it is what the file has
};
Region regions[kMaxRegions];
unsigned region_count;
long learner;  // the process that learns, if we are it: its forked children end by the same code

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

struct Recorder {
  PageRange* ranges;
  unsigned count;
};

void add_page(Recorder& r, const Region& region, std::uint64_t address, bool written) {
  if (r.count > 0) {
    PageRange& last = r.ranges[r.count - 1];
    if ((last.written != 0) == written && last.start >= region.start &&
        last.start + last.pages * kPage == address) {
      ++last.pages;
      return;
    }
  }
  if (r.count < park::kMaxPageRanges) r.ranges[r.count++] = {address, 1, written};
}

// Calls visit(address, entry) for each page of a region.
template <class Visit>
void walk(const Region& region, long pagemap, Visit visit) {
  std::uint64_t entries[256];
  for (std::uint64_t at = region.start; at < region.end;) {
    const std::uint64_t pages = (region.end - at) / kPage;
    const std::uint64_t wanted = pages < 256 ? pages : 256;
    const long n =
        os::raw_syscall(SYS_pread64, pagemap, os::arg(entries), static_cast<long>(wanted * 8),
                        static_cast<long>(at / kPage * 8));
    if (n <= 0) return;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(n) / 8; ++i, at += kPage) {
      visit(at, entries[i]);
    }
  }
}

bool has_own_pages(const Region& region, long pagemap) {
  bool own = false;
  walk(region, pagemap, [&own](std::uint64_t, std::uint64_t entry) {
    own = own || ((entry & kPresent) != 0 && (entry & kFileOrShared) == 0);
  });
  return own;
}

void learn_region(Recorder& r, const Region& region, long pagemap) {
  walk(region, pagemap, [&](std::uint64_t at, std::uint64_t entry) {
    if ((entry & kPresent) == 0) return;
    if ((entry & kFileOrShared) != 0) {
      add_page(r, region, at, false);
    } else if (region.writable && (entry & kExclusive) != 0) {
      add_page(r, region, at, true);
    }
  });
}

long open_pagemap() {
  return os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/pagemap"), O_RDONLY | O_CLOEXEC);
}

void learn() {
  const long pagemap = open_pagemap();
  if (pagemap < 0) return;
  Recorder r{state.program->ranges, 0};
  for (unsigned i = 0; i < region_count; ++i) learn_region(r, regions[i], pagemap);
  os::raw_syscall(SYS_close, pagemap);
  state.program->range_count.store(r.count, std::memory_order_release);
  state.program->learn_state.store(static_cast<std::uint32_t>(park::LearnState::known));
}

// What is left for each clone to touch by itself.
struct Stretch {
  std::uint64_t start;
  std::uint64_t end;
  bool written;
};
Stretch rest[park::kMaxPageRanges];
unsigned rest_count;
bool adopted;

void add_stretch(const PageRange& range) {
  const std::uint64_t end = range.start + range.pages * kPage;
  const bool written = range.written != 0;
  if (rest_count > 0) {
    Stretch& last = rest[rest_count - 1];
    if (last.written == written && last.end == range.start) {
      last.end = end;
      return;
    }
  }
  rest[rest_count++] = {range.start, end, written};
}

// Fork copies the page tables of a private file mapping only if it has once had a page of its own
// (vma_needs_copy in the kernel's mm/memory.c): gives it one, by writing a byte that is there
// already, and drops that page again together with all that main won't need. Then brings in what
// it will. The mapping's contents stay what they are all the while, whoever reads them.
bool have_fork_copy(const Region& region, const PageRange* first, const PageRange* last,
                    long memory) {
  // For what a clone gets by a single fault it doesn't pay (fault_around_bytes is 64 KiB): such a
  // mapping costs half a microsecond more in fork, and as much in exit.
  constexpr std::size_t kOneFault = 16;
  std::size_t pages = 0;
  for (const PageRange* r = first; r < last; ++r) pages += r->pages;
  if (region.writable || region.shared || region.own_pages || pages <= kOneFault || memory < 0) {
    return false;
  }
  const auto at = static_cast<long>(first->start);
  char byte;
  if (os::raw_syscall(SYS_pread64, memory, os::arg(&byte), 1, at) != 1) return false;
  if (os::raw_syscall(SYS_pwrite64, memory, os::arg(&byte), 1, at) != 1) return false;
  os::raw_syscall(SYS_madvise, static_cast<long>(region.start),
                  static_cast<long>(region.end - region.start), MADV_DONTNEED);
  for (; first < last; ++first) {
    os::raw_syscall(SYS_madvise, static_cast<long>(first->start),
                    static_cast<long>(first->pages * kPage), kPopulateRead);
  }
  return true;
}

}  // namespace

void note_regions() {
  static char text[128 * 1024];
  const long n = read_file("/proc/self/maps", text, sizeof text - 1);
  if (n <= 0) return;
  text[n] = '\0';
  const long pagemap = open_pagemap();
  if (pagemap < 0) return;
  const char* at = text;
  while (*at != '\0' && region_count < kMaxRegions) {
    Region region{};
    region.start = hexadecimal(at);
    ++at;
    region.end = hexadecimal(at);
    region.writable = at[2] == 'w';
    const bool readable = at[1] == 'r';
    region.shared = at[4] == 's';
    const char* line_end = at;
    while (*line_end != '\n' && *line_end != '\0') ++line_end;
    // The kernel's own mappings need no touching; those above user space can't be.
    const bool special =
        line_end[-1] == ']' && line_end - at > 8 && line_end[-2] != 'k' && line_end[-2] != 'p';
    if (readable && !(region.shared && region.writable) && !special) {
      region.own_pages = !region.shared && has_own_pages(region, pagemap);
      regions[region_count++] = region;
    }
    at = *line_end == '\0' ? line_end : line_end + 1;
  }
  os::raw_syscall(SYS_close, pagemap);
}

void touch_learned() {
  for (unsigned i = 0; i < rest_count; ++i) {
    const Stretch& s = rest[i];
    os::raw_syscall(SYS_madvise, static_cast<long>(s.start), static_cast<long>(s.end - s.start),
                    s.written ? kPopulateWrite : kPopulateRead);
  }
}

void adopt_learned() {
  constexpr auto known = static_cast<std::uint32_t>(park::LearnState::known);
  if (adopted || state.program->learn_state.load(std::memory_order_acquire) != known) return;
  adopted = true;
  const PageRange* at = state.program->ranges;
  const std::uint32_t count = state.program->range_count.load(std::memory_order_acquire);
  const PageRange* const end = at + (count < park::kMaxPageRanges ? count : park::kMaxPageRanges);
  const long memory =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/mem"), O_RDWR | O_CLOEXEC);
  for (unsigned i = 0; i < region_count && at < end; ++i) {
    const Region& region = regions[i];
    const PageRange* first = at;
    while (at < end && at->start < region.end) ++at;
    if (have_fork_copy(region, first, at, memory)) continue;
    for (; first < at; ++first) add_stretch(*first);
  }
  if (memory >= 0) os::raw_syscall(SYS_close, memory);
}

bool start_learning() {
  auto unknown = static_cast<std::uint32_t>(park::LearnState::unknown);
  const bool first = state.program->learn_state.compare_exchange_strong(
      unknown, static_cast<std::uint32_t>(park::LearnState::learning));
  if (first) learner = os::raw_syscall(SYS_getpid);
  return first;
}

// It stands in for what libc was told to call last, behind all that the program has registered.
void end_program() {
  if (state.real_fini != nullptr) state.real_fini();
  if (learner != 0 && os::raw_syscall(SYS_getpid) == learner) learn();
}

}  // namespace prewarm::agent
