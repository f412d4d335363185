// SPDX-License-Identifier: MIT
//
// Learning which pages a program touches. The first clone that is released looks at its own page
// tables when it exits; later clones touch the same pages while they are still parked. A page fault
// costs 1 to 2 µs when main meets it, a fraction of that in one populating call.
// Restrictions: see agent.h.
#include <fcntl.h>
#include <sys/mman.h>

#include "park/agent.h"

extern "C" int __cxa_atexit(void (*)(void*), void*, void*);

namespace prewarm::agent {
namespace {

constexpr unsigned kMaxRegions = 96;
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
};
Region regions[kMaxRegions];
unsigned region_count;
long learner;  // the process that learns: its forked children run exit handlers, too

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
  park::PageRange* ranges;
  unsigned count;
};

// A page that is read brings its neighbours with it: the kernel maps what is in the page cache of
// the aligned 64 KiB around a faulting file page (fault_around_bytes). One page stands for them.
constexpr std::uint64_t kWindow = 65536;

void add_read(Recorder& r, std::uint64_t address) {
  if (r.count > 0) {
    const park::PageRange& last = r.ranges[r.count - 1];
    if (last.written == 0 && last.start / kWindow == address / kWindow) return;
  }
  if (r.count < park::kMaxPageRanges) r.ranges[r.count++] = {address, 1, 0};
}

void add_written(Recorder& r, std::uint64_t address) {
  if (r.count > 0) {
    park::PageRange& last = r.ranges[r.count - 1];
    if (last.written != 0 && last.start + last.pages * kPage == address) {
      ++last.pages;
      return;
    }
  }
  if (r.count < park::kMaxPageRanges) r.ranges[r.count++] = {address, 1, 1};
}

void learn_region(Recorder& r, const Region& region, long pagemap) {
  std::uint64_t entries[256];
  for (std::uint64_t at = region.start; at < region.end;) {
    const std::uint64_t pages = (region.end - at) / kPage;
    const std::uint64_t wanted = pages < 256 ? pages : 256;
    const long n =
        os::raw_syscall(SYS_pread64, pagemap, os::arg(entries), static_cast<long>(wanted * 8),
                        static_cast<long>(at / kPage * 8));
    if (n <= 0) return;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(n) / 8; ++i, at += kPage) {
      if ((entries[i] & kPresent) == 0) continue;
      const bool file = (entries[i] & kFileOrShared) != 0;
      if (file) {
        add_read(r, at);
      } else if (region.writable && (entries[i] & kExclusive) != 0) {
        add_written(r, at);
      }
    }
  }
}

void learn(void*) {
  if (os::raw_syscall(SYS_getpid) != learner) return;
  const long pagemap =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/pagemap"), O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return;
  Recorder r{state.program->ranges, 0};
  for (unsigned i = 0; i < region_count; ++i) learn_region(r, regions[i], pagemap);
  os::raw_syscall(SYS_close, pagemap);
  state.program->range_count.store(r.count, std::memory_order_release);
  state.program->learn_state.store(static_cast<std::uint32_t>(park::LearnState::known));
}

}  // namespace

void note_regions() {
  static char text[32768];
  const long n = read_file("/proc/self/maps", text, sizeof text - 1);
  if (n <= 0) return;
  text[n] = '\0';
  const char* at = text;
  while (*at != '\0' && region_count < kMaxRegions) {
    Region region{};
    region.start = hexadecimal(at);
    ++at;
    region.end = hexadecimal(at);
    region.writable = at[2] == 'w';
    const bool readable = at[1] == 'r';
    const bool shared = at[4] == 's';
    const char* line_end = at;
    while (*line_end != '\n' && *line_end != '\0') ++line_end;
    // The kernel's own mappings need no touching; those above user space can't be.
    const bool special =
        line_end[-1] == ']' && line_end - at > 8 && line_end[-2] != 'k' && line_end[-2] != 'p';
    if (readable && !shared && !special) regions[region_count++] = region;
    at = *line_end == '\0' ? line_end : line_end + 1;
  }
}

void touch_learned() {
  const std::uint32_t count = state.program->range_count.load(std::memory_order_acquire);
  for (std::uint32_t i = 0; i < count && i < park::kMaxPageRanges; ++i) {
    const park::PageRange& range = state.program->ranges[i];
    if (range.written != 0) {
      os::raw_syscall(SYS_madvise, static_cast<long>(range.start),
                      static_cast<long>(range.pages * kPage), kPopulateWrite);
    } else {
      // Not a load: the file may have been truncated, and a load would then end the process.
      os::raw_syscall(SYS_madvise, static_cast<long>(range.start), kPage, kPopulateRead);
    }
  }
}

void learn_at_exit() {
  learner = os::raw_syscall(SYS_getpid);
  __cxa_atexit(learn, nullptr, nullptr);
}

}  // namespace prewarm::agent
