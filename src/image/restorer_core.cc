// SPDX-License-Identifier: MIT
#include "image/restorer_core.h"

#include <elf.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "image/image_file.h"
#include "image/plain_text.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::raw_syscall;

constexpr long kMapFixedNoReplace = 0x100000;
constexpr std::uint64_t kRlimitStack = 3;

template <class T>
const T* table(const ImageHeader& header, const ImageTable& where) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(&header) + where.offset);
}

bool failed(long result) { return result < 0 && result > -4096; }

std::uint64_t role_value(const Restoration& r, PatchRole role) {
  const auto& stack = r.stack;
  const auto* random = reinterpret_cast<const std::uint64_t*>(stack.auxiliary.random);
  switch (role) {
    case PatchRole::canary:
      return random[0] & ~0xffULL;
    case PatchRole::pointer_guard:
      return random[1];
    case PatchRole::thread_id:
      return r.thread_id;
    case PatchRole::argc:
      return *stack.start;
    case PatchRole::stack_start:
      return reinterpret_cast<std::uint64_t>(stack.start);
    case PatchRole::argv:
      return reinterpret_cast<std::uint64_t>(stack.argv);
    case PatchRole::environment:
      return reinterpret_cast<std::uint64_t>(stack.environment);
    case PatchRole::auxv:
      return reinterpret_cast<std::uint64_t>(stack.auxiliary.begin);
    case PatchRole::random:
      return stack.auxiliary.random;
    case PatchRole::platform:
      return stack.auxiliary.platform;
    case PatchRole::program_name:
      return stack.auxiliary.file_name->a_un.a_val;
    case PatchRole::argv_0:
      return reinterpret_cast<std::uint64_t>(stack.argv[0]);
    case PatchRole::heap_start:
      return r.heap;
    case PatchRole::count:
      break;
  }
  return 0;
}

std::uint64_t string_end(const char* text) {
  return reinterpret_cast<std::uint64_t>(text + length_of(text)) + 1;
}

bool move_mappings(std::uint64_t from, std::uint64_t to, std::uint64_t size) {
  const long at =
      raw_syscall(SYS_mremap, static_cast<long>(from), static_cast<long>(size),
                  static_cast<long>(size), MREMAP_MAYMOVE | MREMAP_FIXED, static_cast<long>(to));
  return at == static_cast<long>(to);
}

}  // namespace

Extent extent_of(std::uint64_t headers, std::uint64_t count, std::uint64_t base) {
  const auto* segment = reinterpret_cast<const Elf64_Phdr*>(headers);
  Extent extent{~0ULL, 0};
  for (std::uint64_t i = 0; i < count; ++i) {
    if (segment[i].p_type != PT_LOAD) continue;
    const auto begin = base + (segment[i].p_vaddr & ~(kPageSize - 1));
    const auto end =
        (base + segment[i].p_vaddr + segment[i].p_memsz + kPageSize - 1) & ~(kPageSize - 1);
    if (begin < extent.begin) extent.begin = begin;
    if (end > extent.end) extent.end = end;
  }
  return extent;
}

bool map_header(Restoration& r) {
  const long at = raw_syscall(SYS_mmap, 0, static_cast<long>(r.descriptors.context_bytes),
                              PROT_READ, MAP_PRIVATE, r.descriptors.numbers[0], 0);
  if (failed(at) || r.descriptors.context_bytes < sizeof(ImageHeader)) return false;
  r.header = reinterpret_cast<const ImageHeader*>(at);
  for (unsigned i = 0; i < sizeof kImageMagic; ++i) {
    if (r.header->magic[i] != kImageMagic[i]) return false;
  }
  return r.header->version == kImageVersion && r.header->header_bytes == sizeof(ImageHeader) &&
         r.header->mapped_files + 1 == static_cast<std::uint32_t>(r.descriptors.count);
}

bool conditions_hold(const Restoration& r) {
  const auto& wanted = r.header->conditions;
  const auto& is = r.stack.auxiliary;
  struct {
    std::uint64_t soft, hard;
  } limit{};
  if (raw_syscall(SYS_prlimit64, 0, kRlimitStack, 0, os::arg(&limit)) != 0) return false;
  return is.secure == 0 && limit.soft == wanted.stack_limit && is.hwcap == wanted.hwcap &&
         is.hwcap2 == wanted.hwcap2 && is.signal_stack == wanted.signal_stack &&
         is.clock_ticks == wanted.clock_ticks && is.program_headers != nullptr &&
         is.header_count != nullptr && is.file_name != nullptr && is.base != nullptr &&
         is.entry != nullptr && is.vdso != nullptr && is.random != 0;
}

bool is_program_of(const Restoration& r, int directory, const char* path, int flags) {
  struct stat s{};
  return raw_syscall(SYS_newfstatat, directory, os::arg(path), os::arg(&s), flags) == 0 &&
         is_same_file(table<ImageFile>(*r.header, r.header->files)[0], s);
}

bool map_regions(const Restoration& r) {
  const auto& header = *r.header;
  const auto* region = table<ImageRegion>(header, header.regions);
  for (std::uint64_t i = 0; i < header.regions.count; ++i, ++region) {
    long flags = MAP_PRIVATE | kMapFixedNoReplace;
    int fd = -1;
    if (region->source == kSourceZeros) {
      flags |= MAP_ANONYMOUS;
    } else if (region->source == kSourceImage) {
      fd = r.descriptors.numbers[0];
    } else {
      const auto place = region->descriptor + 1;
      if (place >= static_cast<std::uint32_t>(r.descriptors.count)) return false;
      fd = r.descriptors.numbers[place];
    }
    if ((region->flags & kRegionPopulate) != 0) flags |= MAP_POPULATE;
    long protection = region->protection;
    if ((region->flags & kRegionPatched) != 0) protection |= PROT_WRITE;
    const long at =
        raw_syscall(SYS_mmap, static_cast<long>(region->address), static_cast<long>(region->size),
                    protection, flags, fd, static_cast<long>(region->offset));
    if (at != static_cast<long>(region->address)) return false;
  }
  return true;
}

// The vDSO and its data, to where captured code expects them. Only after everything else that can
// go wrong: there must be no second try.
bool move_vdso(const Restoration& r) {
  const auto& vdso = r.header->vdso;
  std::uint64_t from = r.stack.auxiliary.vdso->a_un.a_val - (vdso.code - vdso.address);
  std::uint64_t to = vdso.address;
  // Linux 6.17 moves several mappings at once; one that can't moves none.
  if (move_mappings(from, to, vdso.size)) return true;
  for (const auto size : vdso.part_sizes) {
    if (size == 0) break;
    if (!move_mappings(from, to, size)) return false;
    from += size;
    to += size;
  }
  return true;
}

// ld.so has told the kernel of its first thread; now there is another in its place.
bool adopt_thread(Restoration& r) {
  const auto& thread = r.header->thread;
  if (r.has_thread && thread.rseq_area != 0) {
    std::uint64_t old_pointer = 0;
    asm volatile("mov %%fs:16, %0" : "=r"(old_pointer));
    const auto old_area = old_pointer + (thread.rseq_area - thread.thread_pointer);
    constexpr long kUnregister = 1;
    raw_syscall(SYS_rseq, static_cast<long>(old_area), static_cast<long>(thread.rseq_size),
                kUnregister, static_cast<long>(thread.rseq_signature));
  }
  constexpr long kSetFs = 0x1002;
  if (raw_syscall(SYS_arch_prctl, kSetFs, static_cast<long>(thread.thread_pointer)) != 0) {
    return false;
  }
  r.thread_id = static_cast<std::uint64_t>(
      raw_syscall(SYS_set_tid_address, static_cast<long>(thread.tid_address)));
  if (raw_syscall(SYS_set_robust_list, static_cast<long>(thread.robust_list),
                  static_cast<long>(thread.robust_list_size)) != 0) {
    return false;
  }
  return thread.rseq_area == 0 || raw_syscall(SYS_rseq, static_cast<long>(thread.rseq_area),
                                              static_cast<long>(thread.rseq_size), 0,
                                              static_cast<long>(thread.rseq_signature)) == 0;
}

bool patch(const Restoration& r) {
  const auto& header = *r.header;
  const auto* patches = table<ImagePatch>(header, header.patches);
  for (std::uint64_t i = 0; i < header.patches.count; ++i) {
    const auto value = role_value(r, patches[i].role);
    const bool is_short =
        patches[i].role == PatchRole::thread_id || patches[i].role == PatchRole::argc;
    if (is_short) {
      *reinterpret_cast<std::uint32_t*>(patches[i].address) = static_cast<std::uint32_t>(value);
    } else {
      *reinterpret_cast<std::uint64_t*>(patches[i].address) = value;
    }
  }
  const auto* regions = table<ImageRegion>(header, header.regions);
  for (std::uint64_t i = 0; i < header.regions.count; ++i) {
    if ((regions[i].flags & kRegionPatched) == 0) continue;
    if (raw_syscall(SYS_mprotect, static_cast<long>(regions[i].address),
                    static_cast<long>(regions[i].size), regions[i].protection) != 0) {
      return false;
    }
  }
  return true;
}

void correct_auxiliary(const Restoration& r) {
  const auto& is = r.stack.auxiliary;
  is.program_headers->a_un.a_val = r.header->program_headers;
  is.base->a_un.a_val = r.header->loader_base;
  is.entry->a_un.a_val = r.header->entry;
  is.vdso->a_un.a_val = r.header->vdso.code;
  is.header_count->a_un.a_val = r.header->program_header_count;
}

// What the kernel knows of the process's memory: the environment without the variable, the
// auxiliary vector as it is now, and where the program's code and data are.
bool tell_kernel(const Restoration& r) {
  prctl_mm_map map{};
  const auto* segment = reinterpret_cast<const Elf64_Phdr*>(r.header->program_headers);
  std::uint64_t base = 0;
  map.start_code = map.start_data = ~0ULL;
  for (std::uint64_t i = 0; i < r.header->program_header_count; ++i, ++segment) {
    if (segment->p_type == PT_PHDR) base = r.header->program_headers - segment->p_vaddr;
    if (segment->p_type != PT_LOAD) continue;
    const auto begin = base + segment->p_vaddr;
    const auto end = begin + segment->p_filesz;
    const bool is_code = (segment->p_flags & PF_X) != 0;  // as the kernel's exec looks at them
    if (is_code && begin < map.start_code) map.start_code = begin;
    if (is_code && end > map.end_code) map.end_code = end;
    map.start_data = begin;  // of the last
    if (end > map.end_data) map.end_data = end;
  }
  const auto& stack = r.stack;
  map.start_brk = map.brk = r.heap;
  map.start_stack = reinterpret_cast<std::uint64_t>(stack.start);
  map.env_start = map.env_end = reinterpret_cast<std::uint64_t>(r.environment_end);
  map.arg_start = map.arg_end = map.env_start;
  if (stack.variables != 0) {
    map.env_start = reinterpret_cast<std::uint64_t>(stack.environment[0]);
    map.arg_start = map.arg_end = map.env_start;
  }
  if (*stack.start != 0) {
    map.arg_start = reinterpret_cast<std::uint64_t>(stack.argv[0]);
    map.arg_end = string_end(stack.argv[*stack.start - 1]);
  }
  map.auxv = reinterpret_cast<__u64*>(stack.auxiliary.begin);
  map.auxv_size = static_cast<__u32>(stack.auxiliary.size);
  map.exe_fd = static_cast<__u32>(r.executable);
  return raw_syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, os::arg(&map), sizeof map) == 0;
}

void close_all(const Descriptors& descriptors) {
  // They mostly follow each other. A sandbox may not know the newer call.
  for (int i = 0; i < descriptors.count;) {
    const int first = descriptors.numbers[i];
    int last = first;
    for (++i; i < descriptors.count && descriptors.numbers[i] == last + 1; ++i) ++last;
    if (raw_syscall(SYS_close_range, first, last, 0) == 0) continue;
    for (int fd = first; fd <= last; ++fd) raw_syscall(SYS_close, fd);
  }
}

// Unmaps what ld.so had mapped, this code included, by ld.so's own munmap in the image, which then
// returns to the start.
[[noreturn]] void leave(const Restoration& r, const Extent& old) {
  auto* const stack = r.stack.start - 1;
  *stack = r.header->start;
  const std::uint64_t unmap = r.header->unmap_gadget;
  register std::uint64_t entry asm("r12") = r.header->entry;
  raw_syscall(SYS_munmap, os::arg(r.header), static_cast<long>(r.descriptors.context_bytes));
  asm volatile(
      "mov %[stack], %%rsp\n\t"
      "jmp *%[unmap]"
      :
      : [stack] "r"(stack), [unmap] "r"(unmap), "D"(old.begin), "S"(old.end - old.begin), "r"(entry)
      : "memory");
  __builtin_unreachable();
}

}  // namespace prewarm::image
