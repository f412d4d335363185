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
constexpr int kPopulateRead = 22;   // MADV_POPULATE_READ, Linux 5.14
constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE

Region regions[kMaxRegions];
unsigned region_count;
long learner;  // the process that learns: its forked children run exit handlers, too

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

struct Learning {
  Recorder recorder;
  bool writable;
};

void learn_page(std::uint64_t address, std::uint64_t entry, void* data) {
  auto& learning = *static_cast<Learning*>(data);
  if ((entry & kPageFileOrShared) != 0) {
    add_read(learning.recorder, address);
  } else if (learning.writable && (entry & kPageExclusive) != 0) {
    add_written(learning.recorder, address);
  }
}

void learn(void*) {
  if (os::raw_syscall(SYS_getpid) != learner) return;
  const long pagemap =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/pagemap"), O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return;
  Learning learning{{state.program->ranges, 0}, false};
  for (unsigned i = 0; i < region_count; ++i) {
    learning.writable = regions[i].writable;
    for_each_page(regions[i], pagemap, learn_page, &learning);
  }
  os::raw_syscall(SYS_close, pagemap);
  state.program->range_count.store(learning.recorder.count, std::memory_order_release);
  state.program->learn_state.store(static_cast<std::uint32_t>(park::LearnState::known));
}

void note_region(const Region& region, void*) {
  if (region_count < kMaxRegions) regions[region_count++] = region;
}

}  // namespace

void note_regions() { for_each_region(note_region, nullptr); }

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
