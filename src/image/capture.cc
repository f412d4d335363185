// SPDX-License-Identifier: MIT
#include "image/capture.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "image/capture_lookup.h"
#include "image/capture_start.h"
#include "image/library_file.h"
#include "image/one_processor.h"
#include "image/tracee.h"

namespace prewarm::image {
namespace {

using os::Result;

constexpr std::uint64_t kMapFixedNoReplace = 0x100000;
constexpr int kCallStop = SIGTRAP | 0x80;
constexpr int kSeccompStop = SIGTRAP | (PTRACE_EVENT_SECCOMP << 8);

// Dynamic tags that say how much there is to relocate.
constexpr bool counts_relocations(std::int64_t tag) {
  return tag == DT_RELASZ || tag == DT_RELACOUNT || tag == DT_PLTRELSZ || tag == DT_RELRSZ;
}

constexpr bool wants_result(unsigned long long number) {
  return number == SYS_open || number == SYS_openat || number == SYS_access || number == SYS_stat ||
         number == SYS_newfstatat || number == SYS_brk || number == SYS_set_tid_address ||
         number == SYS_rseq || number == SYS_readlink;
}

class Capturer {
 public:
  Capturer(std::string path, const CaptureOptions& options)
      : path_(std::move(path)), options_(options), arena_(options.arena, options.arena_size) {}

  Result<Capture> run();

 private:
  Result<void> find_start();
  Result<void> follow();
  Result<void> see_result();
  Result<void> look_up_shorter();
  Result<void> before_call(Registers& registers);
  Result<void> after_call(const Registers& registers);
  Result<void> name_program(Registers registers);
  Result<void> place(Registers& registers);
  std::uint64_t base_of(int fd);
  Result<void> leave_unrelocated(const std::string& path, std::uint64_t base);
  Result<void> arrive(Registers registers);
  Result<void> collect_regions();
  Result<void> collect_region(const MappedRange& mapping);
  Result<void> collect_objects();
  Result<std::uint64_t> call_function(std::uint64_t function);

  std::string path_;
  const CaptureOptions& options_;
  Arena arena_;
  std::unique_ptr<Tracee> tracee_;
  std::unique_ptr<LookupShortcut> lookups_;
  bool has_many_ = false;  // libraries, so that shorter lookups are worth it
  Capture capture_;
  std::uint64_t gadget_ = 0;
  std::uint64_t breakpoint_ = 0;
  std::uint8_t replaced_ = 0;
  Registers called_{};   // at the beginning of the call under way
  std::string opening_;  // the path of an open under way
  std::map<int, std::string> open_files_;
  std::uint64_t room_ = 0;              // taken for a library, and not yet mapped to
  std::map<int, std::uint64_t> bases_;  // where an open file was mapped first
  Registers arrived_{};
};

Result<void> Capturer::find_start() {
  // ld.so begins with: mov %rsp,%rdi; call _dl_start; _dl_start_user: mov %rax,%r12
  const auto registers = tracee_->registers();
  if (!registers) return std::unexpected(registers.error());
  constexpr std::array<std::uint8_t, 4> kBefore = {0x48, 0x89, 0xe7, 0xe8};
  constexpr std::array<std::uint8_t, 3> kAfter = {0x49, 0x89, 0xc4};
  std::array<std::uint8_t, 11> code{};
  if (auto done = tracee_->read(registers->rip, code.data(), code.size()); !done) return done;
  if (!std::equal(kBefore.begin(), kBefore.end(), code.begin()) ||
      !std::equal(kAfter.begin(), kAfter.end(), code.begin() + 8)) {
    return os::failed_with(ENOEXEC, "recognise the start of ld.so");
  }
  breakpoint_ = registers->rip + 8;
  capture_.start = breakpoint_ + kAfter.size();
  if (auto done = tracee_->read(breakpoint_, &replaced_, 1); !done) return done;
  return tracee_->write(breakpoint_, &kBreakpoint, 1);
}

// A mapping that may be anywhere gets an address in the arena. For libraries that want more than
// the alignment of pages ld.so takes room first, and maps the file into it.
Result<void> Capturer::place(Registers& registers) {
  const int fd = static_cast<int>(registers.r8);
  const bool anywhere = registers.rdi == 0 && (registers.r10 & MAP_FIXED) == 0;
  if (!anywhere) return {};
  const bool is_memory = fd < 0 && (registers.rdx & PROT_WRITE) != 0;
  const auto at = is_memory ? arena_.take_memory(registers.rsi) : arena_.take(registers.rsi);
  if (at == 0) return os::failed_with(ENOMEM, "find room for the libraries of", path_);
  registers.rdi = at;
  registers.r10 |= kMapFixedNoReplace;
  if (fd >= 0) bases_.emplace(fd, at);
  if (fd < 0 && !is_memory) room_ = at;
  return tracee_->set_registers(registers);
}

// Where the library that is being mapped is; 0 if it isn't known.
std::uint64_t Capturer::base_of(int fd) {
  const auto base = bases_.find(fd);
  if (base != bases_.end()) return base->second;
  if (room_ == 0) return 0;
  const auto library = open_library(open_files_[fd]);
  if (!library) return 0;
  std::uint64_t alignment = kPageSize;
  for (const auto& segment : (*library)->elf.loads()) {
    if (std::has_single_bit(segment.p_align)) alignment = std::max(alignment, segment.p_align);
  }
  const auto aligned = (room_ + alignment - 1) & ~(alignment - 1);
  std::array<unsigned char, SELFMAG> magic{};
  const bool is_there = tracee_->read(aligned, magic.data(), magic.size()).has_value() &&
                        std::memcmp(magic.data(), ELFMAG, SELFMAG) == 0;
  return is_there ? aligned : 0;
}

// Other directories, other libraries: what was looked for from here may be found elsewhere.
Result<void> check_place(const std::string& path) {
  if (path.empty() || path.starts_with('/')) return {};
  return os::failed_with(ENOTSUP, "capture: what is linked depends on the working directory", path);
}

Result<void> Capturer::before_call(Registers& registers) {
  called_ = registers;
  switch (registers.orig_rax) {
    case SYS_mmap:
      if (auto done = place(registers); !done) return done;
      called_ = registers;
      return {};
    case SYS_open:
    case SYS_openat:
    case SYS_access: {
      auto path =
          tracee_->read_string(registers.orig_rax == SYS_openat ? registers.rsi : registers.rdi);
      if (!path) return std::unexpected(path.error());
      opening_ = std::move(*path);
      return check_place(opening_);
    }
    case SYS_close: {
      const int fd = static_cast<int>(registers.rdi);
      const auto base = options_.leave_unrelocated ? base_of(fd) : 0;
      if (base != 0 && options_.leave_unrelocated(open_files_[fd])) {
        if (auto done = leave_unrelocated(open_files_[fd], base); !done) return done;
      }
      room_ = 0;
      bases_.erase(fd);
      open_files_.erase(fd);
      return look_up_shorter();
    }
    case SYS_arch_prctl:
      capture_.thread.thread_pointer = registers.rsi;
      return {};
    case SYS_set_tid_address:
      capture_.thread.tid_address = registers.rdi;
      return {};
    case SYS_set_robust_list:
      capture_.thread.robust_list = registers.rdi;
      capture_.thread.robust_list_size = registers.rsi;
      return {};
    case SYS_rseq:
      capture_.thread.rseq_area = registers.rdi;
      capture_.thread.rseq_size = registers.rsi;
      capture_.thread.rseq_signature = registers.r10;
      return {};
    // Those are seen, but needn't be known; see capture_filter.cc for what isn't even seen.
    case SYS_stat:
    case SYS_newfstatat:
    case SYS_brk:
    case SYS_getrandom:
    case SYS_readlink:
      return {};
    default:
      return os::failed_with(EBUSY, "capture: the program does more than link; system call",
                             std::to_string(registers.orig_rax));
  }
}

Result<void> Capturer::after_call(const Registers& registers) {
  const auto result = static_cast<long>(registers.rax);
  switch (called_.orig_rax) {
    case SYS_open:
    case SYS_openat:
    case SYS_access:
      if (result < 0) {
        capture_.files_absent.push_back(opening_);
      } else if (called_.orig_rax != SYS_access) {
        open_files_[static_cast<int>(result)] = opening_;
        capture_.files_opened.push_back(opening_);
        if (lookups_) return lookups_->opened(static_cast<int>(result));
      }
      return {};
    case SYS_stat:
    case SYS_newfstatat: {
      // ld.so asks whether a directory of its search path is there.
      if (result >= 0) return {};
      auto path = tracee_->read_string(called_.orig_rax == SYS_stat ? called_.rdi : called_.rsi);
      if (!path || path->empty()) return {};
      capture_.files_absent.push_back(*path);
      return check_place(*path);
    }
    case SYS_brk:
      if (capture_.anchors.heap_start == 0) {
        capture_.anchors.heap_start = static_cast<std::uint64_t>(result);
      }
      return {};
    case SYS_set_tid_address:
      capture_.anchors.thread_id = static_cast<std::uint64_t>(result);
      return {};
    case SYS_rseq:
      if (result < 0) capture_.thread.rseq_area = 0;
      return {};
    case SYS_readlink:
      return name_program(registers);
    default:
      return {};
  }
}

// ld.so wants to know where the program is ($ORIGIN); what runs is a copy.
Result<void> Capturer::name_program(Registers registers) {
  const auto link = tracee_->read_string(called_.rdi);
  if (!link) return std::unexpected(link.error());
  if (*link != "/proc/self/exe") {
    return os::failed_with(ENOTSUP, "capture: ld.so reads the link", *link);
  }
  const std::size_t size = std::min<std::size_t>(path_.size(), called_.rdx);
  if (auto done = tracee_->write(called_.rsi, path_.data(), size); !done) return done;
  registers.rax = size;
  return tracee_->set_registers(registers);
}

// The library's dynamic section comes to say that there is nothing to relocate. ld.so reads these
// words only when it relocates.
Result<void> Capturer::leave_unrelocated(const std::string& path, std::uint64_t base) {
  Elf64_Ehdr header{};
  if (auto done = tracee_->read(base, &header, sizeof header); !done) return done;
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > 64) {
    return os::failed_with(ENOEXEC, "read program headers of", path);
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  if (auto done = tracee_->read(base + header.e_phoff, segments.data(),
                                segments.size() * sizeof(Elf64_Phdr));
      !done) {
    return done;
  }
  for (const auto& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    const auto at = base + segment.p_vaddr;
    auto entries = tracee_->read_dynamic(at);
    if (!entries) return std::unexpected(entries.error());
    bool any = false;
    for (auto& entry : *entries) {
      if (!counts_relocations(entry.d_tag)) continue;
      entry.d_un.d_val = 0;
      any = true;
    }
    if (!any) return {};
    return tracee_->write(at, entries->data(), entries->size() * sizeof(Elf64_Dyn));
  }
  return {};
}

Result<void> Capturer::look_up_shorter() {
  if (has_many_ || capture_.files_opened.size() < options_.many_files) return {};
  has_many_ = true;
  auto lookups = LookupShortcut::install(*tracee_, breakpoint_);
  if (!lookups) return std::unexpected(lookups.error());
  lookups_ = std::move(*lookups);
  return {};
}

Result<void> Capturer::follow() {
  for (;;) {
    const auto status = tracee_->continue_freely();
    if (!status) return std::unexpected(status.error());
    auto registers = tracee_->registers();
    if (!registers) return std::unexpected(registers.error());
    if (*status >> 8 == kSeccompStop) {
      if (auto done = before_call(*registers); !done) return done;
      if (!wants_result(called_.orig_rax)) continue;
      if (auto done = see_result(); !done) return done;
    } else if (WSTOPSIG(*status) == SIGTRAP && registers->rip == breakpoint_ + 1) {
      return arrive(*registers);
    } else if (WSTOPSIG(*status) == SIGTRAP && lookups_ && lookups_->is_here(*registers)) {
      if (auto done = lookups_->answer(*registers); !done) return done;
    } else {
      return os::failed_with(EINTR, "capture: the program was stopped by signal",
                             std::to_string(WSTOPSIG(*status)));
    }
  }
}

Result<void> Capturer::see_result() {
  const auto status = tracee_->continue_to_call();
  if (!status) return std::unexpected(status.error());
  if (WSTOPSIG(*status) != kCallStop) {
    return os::failed_with(EINTR, "capture: the program was stopped by signal",
                           std::to_string(WSTOPSIG(*status)));
  }
  const auto registers = tracee_->registers();
  if (!registers) return std::unexpected(registers.error());
  return after_call(*registers);
}

Result<void> Capturer::arrive(Registers registers) {
  if (auto done = tracee_->write(breakpoint_, &replaced_, 1); !done) return done;
  if (lookups_) {
    if (auto done = lookups_->remove(); !done) return done;
    capture_.lookups = lookups_->counts();
  }
  registers.rip = breakpoint_;
  arrived_ = registers;
  if (registers.rax != capture_.entry) {
    return os::failed_with(ENOEXEC, "find the program's entry after linking", path_);
  }
  return tracee_->set_registers(registers);
}

// Whether the bytes are still those of the file: a breakpoint makes a page the process's own.
bool is_as_in_file(const MappedRange& mapping, const std::vector<std::uint8_t>& bytes) {
  const os::Fd file(::open(mapping.name.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<std::uint8_t> there(bytes.size());
  const ssize_t n =
      ::pread(file.get(), there.data(), there.size(), static_cast<off_t>(mapping.offset));
  if (n < 0) return false;
  std::fill(there.begin() + n, there.end(), 0);
  return there == bytes;
}

Result<void> Capturer::collect_region(const MappedRange& mapping) {
  CapturedRegion region;
  region.address = mapping.begin;
  region.size = mapping.end - mapping.begin;
  region.protection = mapping.protection;
  const bool has_file = mapping.name.starts_with('/');
  const bool writable = (mapping.protection & PROT_WRITE) != 0;
  if (mapping.has_own_pages || (writable && has_file)) {
    region.bytes.resize(region.size);
    if (auto done = tracee_->read(region.address, region.bytes.data(), region.size); !done) {
      return done;
    }
  }
  const bool is_code = (mapping.protection & PROT_EXEC) != 0;
  const bool modified = !region.bytes.empty() && !(is_code && is_as_in_file(mapping, region.bytes));
  // Addresses in instructions are anywhere, and wouldn't be found when the image is moved.
  if (is_code && modified) {
    return os::failed_with(ENOTSUP, "capture: code is relocated", mapping.name);
  }
  if (has_file && !modified && mapping.protection != PROT_NONE) {
    region.bytes = {};
    region.file = mapping.name;
    region.file_offset = mapping.offset;
  }
  capture_.regions.push_back(std::move(region));
  return {};
}

Result<void> Capturer::collect_regions() {
  const auto mappings = tracee_->mappings(true);
  if (!mappings) return std::unexpected(mappings.error());
  std::string program_file;
  for (const auto& mapping : *mappings) {
    if (mapping.begin <= capture_.program_headers && capture_.program_headers < mapping.end) {
      program_file = mapping.name;
    }
  }
  bool after_program = false;
  for (const auto& mapping : *mappings) {
    const bool in_arena = mapping.begin >= capture_.arena_begin && mapping.end <= arena_.end();
    const bool is_vdso = mapping.begin >= capture_.vdso.address &&
                         mapping.end <= capture_.vdso.address + capture_.vdso.size;
    const bool of_program =
        !in_arena && (mapping.name == program_file || (mapping.name.empty() && after_program));
    after_program = of_program;
    // A process that is started from the image would have another, as its program asks for none.
    if (mapping.name == "[stack]" && (mapping.protection & PROT_EXEC) != 0) {
      return os::failed_with(ENOTSUP, "capture: a library asks for an executable stack", path_);
    }
    if ((!in_arena && !of_program) || is_vdso) continue;
    if (auto done = collect_region(mapping); !done) return done;
  }
  capture_.arena_end = arena_.end();
  return {};
}

// By way of the debugger's interface, r_debug, whose address is in the program's dynamic section.
Result<void> Capturer::collect_objects() {
  std::uint64_t dynamic = 0;
  std::uint64_t base = 0;
  std::vector<Elf64_Phdr> segments(64);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (auto done = tracee_->read(capture_.program_headers + i * sizeof(Elf64_Phdr), &segments[i],
                                  sizeof(Elf64_Phdr));
        !done) {
      return done;
    }
    if (segments[i].p_type == PT_PHDR) base = capture_.program_headers - segments[i].p_vaddr;
    if (segments[i].p_type == PT_DYNAMIC) {
      dynamic = base + segments[i].p_vaddr;
      break;
    }
  }
  if (dynamic == 0) return os::failed_with(ENOEXEC, "find the dynamic section of", path_);
  const auto entries = tracee_->read_dynamic(dynamic);
  if (!entries) return std::unexpected(entries.error());
  std::uint64_t debug = 0;
  for (const auto& entry : *entries) {
    if (entry.d_tag == DT_DEBUG) debug = entry.d_un.d_ptr;
  }
  if (debug == 0) return os::failed_with(ENOEXEC, "find the list of libraries of", path_);
  r_debug list{};
  if (auto done = tracee_->read(debug, &list, sizeof list); !done) return done;
  auto at = reinterpret_cast<std::uint64_t>(list.r_map);
  while (at != 0) {
    link_map map{};
    if (auto done = tracee_->read(at, &map, sizeof map); !done) return done;
    auto name = tracee_->read_string(reinterpret_cast<std::uint64_t>(map.l_name));
    if (!name) return std::unexpected(name.error());
    CapturedObject object;
    object.path = capture_.objects.empty() ? path_ : std::move(*name);
    object.base = map.l_addr;
    object.dynamic = reinterpret_cast<std::uint64_t>(map.l_ld);
    object.link_map = at;
    capture_.objects.push_back(std::move(object));
    at = reinterpret_cast<std::uint64_t>(map.l_next);
  }
  return {};
}

// Calls a function without arguments in the stopped process, on its own stack below all that is in
// use, and brings it back to where it was.
Result<std::uint64_t> Capturer::call_function(std::uint64_t function) {
  Registers registers = arrived_;
  registers.rsp = ((registers.rsp - 4096) & ~15ULL) - 8;
  registers.rip = function;
  registers.orig_rax = ~0ULL;
  if (auto done = tracee_->write(registers.rsp, &breakpoint_, sizeof breakpoint_); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = tracee_->write(breakpoint_, &kBreakpoint, 1); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = tracee_->set_registers(registers); !done) return std::unexpected(done.error());
  const auto status = tracee_->continue_freely();
  if (!status) return std::unexpected(status.error());
  const auto after = tracee_->registers();
  if (!after) return std::unexpected(after.error());
  if (WSTOPSIG(*status) != SIGTRAP || after->rip != breakpoint_ + 1) {
    return os::failed_with(EFAULT, "capture: a resolver of functions was stopped by a signal");
  }
  if (auto done = tracee_->write(breakpoint_, &replaced_, 1); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = tracee_->set_registers(arrived_); !done) return std::unexpected(done.error());
  return after->rax;
}

// munmap in ld.so: mov $11,%eax; syscall; cmp $-4095,%rax; jae …; ret
Result<std::uint64_t> find_unmap_gadget(const Capture& capture, Tracee& tracee) {
  constexpr std::array<std::uint8_t, 16> kCode = {0xb8, 0x0b, 0x00, 0x00, 0x00, 0x0f, 0x05, 0x48,
                                                  0x3d, 0x01, 0xf0, 0xff, 0xff, 0x73, 0x01, 0xc3};
  for (const auto& region : capture.regions) {
    if (capture.start < region.address || capture.start >= region.address + region.size) continue;
    std::vector<std::uint8_t> code(region.size);
    if (auto done = tracee.read(region.address, code.data(), code.size()); !done) {
      return std::unexpected(done.error());
    }
    const auto at = std::search(code.begin(), code.end(), kCode.begin(), kCode.end());
    if (at != code.end()) {
      return region.address + static_cast<std::uint64_t>(at - code.begin());
    }
  }
  return os::failed_with(ENOEXEC, "find munmap in ld.so");
}

Result<Capture> Capturer::run() {
  capture_.anchors.clock_begin = __rdtsc();
  capture_.arena_begin = options_.arena;
  auto tracee = start_traced(path_, options_);
  if (!tracee) return std::unexpected(tracee.error());
  tracee_ = std::move(*tracee);
  rlimit limit{};
  ::prlimit(tracee_->pid(), RLIMIT_STACK, nullptr, &limit);
  capture_.conditions.stack_limit = limit.rlim_cur;

  auto gadget = move_into_arena(*tracee_, arena_, capture_);
  if (!gadget) return std::unexpected(gadget.error());
  gadget_ = *gadget;
  if (auto done = find_start(); !done) return std::unexpected(done.error());
  if (auto done = follow(); !done) return std::unexpected(done.error());
  capture_.anchors.clock_end = __rdtsc();
  if (auto done = collect_regions(); !done) return std::unexpected(done.error());
  if (auto done = collect_objects(); !done) return std::unexpected(done.error());
  auto unmap = find_unmap_gadget(capture_, *tracee_);
  if (!unmap) return std::unexpected(unmap.error());
  capture_.unmap_gadget = *unmap;
  if (options_.linked) {
    const auto call = [this](std::uint64_t function) { return call_function(function); };
    if (auto done = options_.linked(capture_, call); !done) return std::unexpected(done.error());
  }
  return std::move(capture_);
}

}  // namespace

CapturedRegion* Capture::find(std::uint64_t address) {
  auto at =
      std::upper_bound(regions.begin(), regions.end(), address,
                       [](std::uint64_t a, const CapturedRegion& r) { return a < r.address; });
  if (at == regions.begin()) return nullptr;
  --at;
  return address - at->address < at->size ? &*at : nullptr;
}

const CapturedRegion* Capture::find(std::uint64_t address) const {
  return const_cast<Capture*>(this)->find(address);
}

std::uint64_t Capture::word(std::uint64_t address) const {
  const auto* region = find(address);
  if (region == nullptr || region->bytes.size() < 8) return 0;
  const auto at = address - region->address;
  if (at > region->bytes.size() - 8) return 0;
  std::uint64_t value = 0;
  std::memcpy(&value, region->bytes.data() + at, sizeof value);
  return value;
}

Result<Capture> capture_program(const std::string& path, const CaptureOptions& options) {
  const OneProcessor one;
  return Capturer(path, options).run();
}

std::uint64_t draw_arena(std::uint64_t size) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random)
    random = __rdtsc() * 0x9e3779b97f4a7c15ULL;
  const auto pages = (kArenaHighest - kArenaLowest - size) / kPageSize;
  return kArenaLowest + random % pages * kPageSize;
}

}  // namespace prewarm::image
