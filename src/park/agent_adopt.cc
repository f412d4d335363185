// SPDX-License-Identifier: MIT
//
// What is made of the pages that a launch is known to touch (agent_learn.cc):
//   * the zygote has those that are only read in its page tables, and fork copies these;
//   * a new clone makes its own copies of those that are written, while it is still parked.
// Per page, a fault in main costs 1 to 2 µs, populating what is only read 0.2, copying by fork
// 0.05; and each page that is there costs another 0.06 at exit. Restrictions: see agent.h.
#include <fcntl.h>
#include <sys/mman.h>

#include "park/agent_memory.h"

namespace prewarm::agent {
namespace {

using park::LearnState;

constexpr int kPopulateRead = 22;   // MADV_POPULATE_READ, Linux 5.14
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE

// What is left for each clone to touch by itself.
struct Stretch {
  std::uint64_t start;
  std::uint64_t end;
  bool written;
  bool anonymous;
};
Stretch rest[park::kMaxPageRanges];
unsigned rest_count;
LearnState adopted = LearnState::unknown;

std::uint64_t end_of(const PageRange& range) { return range.start + range.pages * kPage; }

void add_stretch(const Region& region, const PageRange& range) {
  const bool written = range.written != 0;
  if (rest_count > 0) {
    Stretch& last = rest[rest_count - 1];
    if (last.written == written && last.end == range.start && range.start != region.start) {
      last.end = end_of(range);
      return;
    }
  }
  rest[rest_count++] = {range.start, end_of(range), written, region.anonymous};
}

// Writes to each page, and changes nothing: for the few pages of a stretch that is cheaper than
// advice, by a microsecond a page.
void touch(const Stretch& s) {
  for (std::uint64_t at = s.start; at < s.end; at += kPage) {
    __atomic_fetch_or(reinterpret_cast<char*>(at), 0, __ATOMIC_RELAXED);
  }
}

// Fork copies the page tables of a private file mapping only if it has once had a page of its own
// (vma_needs_copy in the kernel's mm/memory.c): gives it one, by writing a byte that is there
// already, and drops that page again with everything else that is mapped there. Then brings in
// what main will touch. The mapping's contents stay the same all the while, whoever reads them.
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
  advise(region.start, region.end, MADV_DONTNEED);
  for (; first < last; ++first) advise(first->start, end_of(*first), kPopulateRead);
  return true;
}

// Only what is known to be accessed stays in the page tables.
void drop_others(const Region& region, const PageRange* first, const PageRange* last) {
  std::uint64_t at = region.start;
  for (; first < last; ++first) {
    if (first->start > at) advise(at, first->start, MADV_DONTNEED);
    at = end_of(*first);
  }
  if (at < region.end) advise(at, region.end, MADV_DONTNEED);
}

}  // namespace

void adopt_learned() {
  const auto known =
      static_cast<LearnState>(state.program->learn_state.load(std::memory_order_acquire));
  if (known == adopted || (known != LearnState::present && known != LearnState::accessed)) return;
  adopted = known;
  rest_count = 0;
  const PageRange* const ranges = state.program->ranges;
  const std::uint32_t said = state.program->range_count.load();
  const unsigned count = said < park::kMaxPageRanges ? said : park::kMaxPageRanges;
  const long memory =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/mem"), O_RDWR | O_CLOEXEC);
  for (unsigned i = 0; i < region_count; ++i) {
    Region& region = regions[i];
    const auto inside = [&region](const PageRange& r) {
      return r.start >= region.start && r.start < region.end;
    };
    unsigned first = 0;
    while (first < count && !inside(ranges[first])) ++first;
    unsigned last = first;
    while (last < count && inside(ranges[last])) ++last;
    if (region.copied) {
      drop_others(region, ranges + first, ranges + last);
      continue;
    }
    region.copied = have_fork_copy(region, ranges + first, ranges + last, memory);
    for (; !region.copied && first < last; ++first) add_stretch(region, ranges[first]);
  }
  if (memory >= 0) os::raw_syscall(SYS_close, memory);
}

void touch_learned() {
  for (unsigned i = 0; i < rest_count; ++i) {
    const Stretch& s = rest[i];
    if (s.written && s.anonymous) {
      touch(s);
    } else {
      // A page that a shortened file hasn't any more is an error here, and not the end.
      advise(s.start, s.end, s.written ? kPopulateWrite : kPopulateRead);
    }
  }
}

}  // namespace prewarm::agent
