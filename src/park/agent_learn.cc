// SPDX-License-Identifier: MIT
//
// Learning which pages a program touches, so that main doesn't meet them as page faults. It is done
// twice, each time by one released clone when it exits:
//   * the first one takes down which pages are in its page tables. A fault brings a whole window of
//     neighbours with it, so these are more than are needed;
//   * one of a program that is launched often looks which of them the processor has marked as
//     accessed. That takes a millisecond, but makes each fork and exit after it cheaper.
// agent_adopt.cc has what is made of it. Restrictions: see agent.h.
#include <fcntl.h>
#include <sys/mman.h>

#include "park/agent_memory.h"

namespace prewarm::agent {

Region regions[kMaxRegions];
unsigned region_count;

namespace {

using park::LearnState;

// Releases after which it pays to look closely.
constexpr std::uint32_t kOften = 48;

long learner;  // the process that learns, if we are it: its forked children end by the same code
bool closely;

bool advance_learning(LearnState from, LearnState to) {
  auto expected = static_cast<std::uint32_t>(from);
  return state.program->learn_state.compare_exchange_strong(expected,
                                                            static_cast<std::uint32_t>(to));
}

// Ranges as they are taken down, in order of address.
struct Recorder {
  PageRange* ranges;
  unsigned count;

  void add(const Region& region, std::uint64_t address, bool written) {
    if (count > 0) {
      PageRange& last = ranges[count - 1];
      if ((last.written != 0) == written && last.start >= region.start &&
          last.start + last.pages * kPage == address) {
        ++last.pages;
        return;
      }
    }
    if (count < park::kMaxPageRanges) ranges[count++] = {address, 1, written};
  }
};

// The table's page is where they are to be.
void learn_present(long pagemap) {
  Recorder recorder{state.program->ranges, 0};
  for (unsigned i = 0; i < region_count; ++i) {
    const Region& region = regions[i];
    walk_pages(region.start, region.end, pagemap, [&](std::uint64_t at, std::uint64_t entry) {
      if ((entry & kPresent) == 0) return;
      if ((entry & kFileOrShared) != 0) {
        recorder.add(region, at, false);
      } else if (region.writable && (entry & kExclusive) != 0) {
        recorder.add(region, at, true);
      }
    });
  }
  state.program->range_count.store(recorder.count);
}

// Makes each page that is there a mapping of its own: /proc/self/smaps, which alone tells what was
// accessed, tells it by mapping. Advice that differs keeps neighbours apart, and changes nothing
// else; the process is about to end.
void separate_pages(const Region& region, long pagemap) {
  bool other = false;
  walk_pages(region.start, region.end, pagemap, [&other](std::uint64_t at, std::uint64_t entry) {
    if ((entry & kPresent) == 0) return;
    if (other) advise(at, at + kPage, MADV_RANDOM);
    other = !other;
  });
}

const Region* copied_region_of(std::uint64_t address) {
  for (unsigned i = 0; i < region_count; ++i) {
    if (regions[i].copied && regions[i].start <= address && address < regions[i].end) {
      return &regions[i];
    }
  }
  return nullptr;
}

// Adds the accessed pages of the regions that fork copies.
void learn_accessed(Recorder& recorder, long pagemap) {
  constexpr char kReferenced[] = "Referenced:";
  const long smaps =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/smaps"), O_RDONLY | O_CLOEXEC);
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  each_piece(smaps, ~std::size_t{0}, '\n', [&](const char* line) {
    const bool head = (line[0] >= '0' && line[0] <= '9') || (line[0] >= 'a' && line[0] <= 'f');
    if (head) {
      start = read_hexadecimal(line);
      ++line;
      end = read_hexadecimal(line);
    }
    if (!starts_with(line, kReferenced)) return;
    line += sizeof kReferenced - 1;
    while (*line == ' ') ++line;
    const Region* region = *line == '0' ? nullptr : copied_region_of(start);
    if (region == nullptr) return;
    walk_pages(start, end, pagemap, [&](std::uint64_t at, std::uint64_t entry) {
      if ((entry & kPresent) != 0) recorder.add(*region, at, false);
    });
  });
  if (smaps >= 0) os::raw_syscall(SYS_close, smaps);
}

// In the regions that fork copies, what was accessed; elsewhere what was learned before.
void look_closely(long pagemap) {
  for (unsigned i = 0; i < region_count; ++i) {
    if (regions[i].copied) separate_pages(regions[i], pagemap);
  }
  PageRange ranges[park::kMaxPageRanges];
  Recorder recorder{ranges, 0};
  learn_accessed(recorder, pagemap);
  const std::uint32_t known = state.program->range_count.load();
  for (std::uint32_t i = 0; i < known && i < park::kMaxPageRanges; ++i) {
    const PageRange& range = state.program->ranges[i];
    if (copied_region_of(range.start) != nullptr) continue;
    if (recorder.count < park::kMaxPageRanges) ranges[recorder.count++] = range;
  }
  for (unsigned i = 0; i < recorder.count; ++i) state.program->ranges[i] = ranges[i];
  state.program->range_count.store(recorder.count);
}

void learn() {
  const long pagemap = open_pagemap();
  if (pagemap < 0) return;
  if (closely) {
    look_closely(pagemap);
  } else {
    learn_present(pagemap);
  }
  os::raw_syscall(SYS_close, pagemap);
  const auto learned =
      static_cast<std::uint32_t>(closely ? LearnState::accessed : LearnState::present);
  state.program->learn_state.store(learned, std::memory_order_release);
}

// What the processor has marked so far was not main's doing (proc_pid_clear_refs(5)). It is done
// just before main, though that costs this one launch a fraction of a millisecond: a page counts as
// accessed, too, once anybody has ended who had accessed it, or another in the same folio.
bool forget_accesses() {
  const long fd =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/clear_refs"), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool forgotten = os::raw_syscall(SYS_write, fd, os::arg("1"), 1) == 1;
  os::raw_syscall(SYS_close, fd);
  return forgotten;
}

}  // namespace

std::uint64_t read_hexadecimal(const char*& at) {
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

long open_pagemap() {
  return os::raw_syscall(SYS_openat, AT_FDCWD, os::arg("/proc/self/pagemap"), O_RDONLY | O_CLOEXEC);
}

bool start_learning() {
  const bool often = state.program->releases.load(std::memory_order_relaxed) >= kOften;
  if (often && advance_learning(LearnState::present, LearnState::looking)) {
    if (!forget_accesses()) return false;
    closely = true;
  } else if (!advance_learning(LearnState::unknown, LearnState::learning)) {
    return false;
  }
  learner = os::raw_syscall(SYS_getpid);
  return true;
}

// It stands in for what libc was told to call last, behind all that the program has registered.
void end_program() {
  if (state.real_fini != nullptr) state.real_fini();
  if (learner != 0 && os::raw_syscall(SYS_getpid) == learner) learn();
}

}  // namespace prewarm::agent
