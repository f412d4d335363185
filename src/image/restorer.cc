// SPDX-License-Identifier: MIT
//
// The restorer: libprewarm-restore.so, which ld.so loads before everything else as if it were an
// auditor, and which then puts an image in the place of all that ld.so would do.
//
// Restrictions: runs inside somebody else's program before libc is there; as restorer_core.h.
// Undefined symbols: none (restorer_symbols_test.cc).
//
// Up to the last step nothing is lost: whatever goes wrong, the program is executed again, without
// the variable that brought the restorer in, and starts as if there were no images.
#include <elf.h>
#include <fcntl.h>

#include <cstdint>

#include "image/format.h"
#include "image/restorer_core.h"
#include "os/raw_syscall.h"

namespace prewarm::image {
namespace {

using os::raw_syscall;

extern "C" char __ehdr_start;  // the linker's: where this object is mapped

Extent program_extent(const Auxiliary& auxiliary) {
  const auto headers = auxiliary.program_headers->a_un.a_val;
  const auto* segment = reinterpret_cast<const Elf64_Phdr*>(headers);
  for (std::uint64_t i = 0; i < auxiliary.header_count->a_un.a_val; ++i) {
    if (segment[i].p_type == PT_PHDR) {
      return extent_of(headers, auxiliary.header_count->a_un.a_val, headers - segment[i].p_vaddr);
    }
  }
  return {};
}

Extent loader_extent(const Auxiliary& auxiliary) {
  const auto base = auxiliary.base->a_un.a_val;
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(base);
  return extent_of(base + header->e_phoff, header->e_phnum, base);
}

// Everything from ld.so downwards is ld.so's doing, or this object's: mappings are placed from
// above.
bool old_mappings(const Restoration& r, Extent& old) {
  constexpr std::uint64_t kMore = 1 << 20;  // what it has allocated, below what it has loaded
  const auto loader = loader_extent(r.stack.auxiliary);
  const auto own = reinterpret_cast<std::uint64_t>(&__ehdr_start);
  if (own >= loader.begin || loader.begin - own > (16 << 20)) return false;
  old.begin = own - kMore;
  old.end = loader.end;
  return true;
}

// Only returns if the image can't be used.
void restore(Restoration& r) {
  Extent old;
  if (!map_header(r) || !conditions_hold(r) || !is_program_of(r, AT_FDCWD, "/proc/self/exe", 0) ||
      !old_mappings(r, old)) {
    return;
  }
  r.has_thread = true;
  r.heap = static_cast<std::uint64_t>(raw_syscall(SYS_brk, 0));
  r.environment_end = r.stack.environment[r.stack.variables - 1];  // ours is taken out

  const auto program = program_extent(r.stack.auxiliary);
  if (program.end == 0) return;
  if (raw_syscall(SYS_munmap, static_cast<long>(program.begin),
                  static_cast<long>(program.end - program.begin)) != 0 ||
      !map_regions(r) || !move_vdso(r)) {
    return;
  }
  take_variable(r.stack);
  correct_auxiliary(r);
  if (!tell_kernel(r) || !adopt_thread(r) || !patch(r)) return;
  close_all(r.descriptors);
  leave(r, old);
}

// The program again, as if this object had never been: the kernel starts over.
void start_stock(Restoration& r) {
  close_all(r.descriptors);
  auto& stack = r.stack;
  const char* const file = reinterpret_cast<const char*>(stack.auxiliary.file_name->a_un.a_val);
  // Whether or not it has been taken out of the environment already.
  if (stack.variables != 0) {
    Descriptors named = read_descriptors(stack);
    if (named.count != 0) stack.environment[stack.variables - 1] = nullptr;
  }
  raw_syscall(SYS_execve, os::arg(file), os::arg(stack.argv), os::arg(stack.environment));
}

}  // namespace

extern "C" {

// ld.so calls this with what main gets.
[[gnu::visibility("default")]] void prewarm_restore(int, char** argv, char**) {
  Restoration restoration;
  restoration.stack = read_stack(argv);
  restoration.descriptors = read_descriptors(restoration.stack);
  if (restoration.descriptors.count == 0) return;
  restore(restoration);
  start_stock(restoration);
}

// What makes it an auditor; 0: none that wants to be asked.
[[gnu::visibility("default")]] unsigned la_version(unsigned) { return 0; }
}

}  // namespace prewarm::image
