// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/patching.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace prewarm::bash {
namespace {

constexpr std::size_t kTrampolineBytes = 4096;

#if defined(__x86_64__)
constexpr auto kCallSlot = R_X86_64_JUMP_SLOT;
constexpr auto kDataSlot = R_X86_64_GLOB_DAT;
#elif defined(__aarch64__)
constexpr auto kCallSlot = R_AARCH64_JUMP_SLOT;
constexpr auto kDataSlot = R_AARCH64_GLOB_DAT;
#endif

unsigned long page_of(unsigned long address) { return address & ~4095UL; }

bool protect(unsigned long address, std::size_t size, int protection) {
  const unsigned long first = page_of(address);
  const unsigned long end = page_of(address + size - 1) + 4096;
  return ::mprotect(reinterpret_cast<void*>(first), end - first, protection) == 0;
}

struct Program {
  unsigned long base = 0;
  const ElfW(Dyn) * dynamic = nullptr;
  AddressRange image;
  AddressRange read_only;  // what ld.so has protected after relocation (RELRO)
};

// The first object is the program itself.
int take_first(dl_phdr_info* info, std::size_t, void* data) {
  auto& program = *static_cast<Program*>(data);
  program.base = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& p = info->dlpi_phdr[i];
    const unsigned long start = info->dlpi_addr + p.p_vaddr;
    if (p.p_type == PT_DYNAMIC) program.dynamic = reinterpret_cast<const ElfW(Dyn)*>(start);
    // Whole pages only.
    if (p.p_type == PT_GNU_RELRO) program.read_only = {page_of(start), page_of(start + p.p_memsz)};
    if (p.p_type == PT_LOAD) {
      if (program.image.end == 0) program.image.start = start;  // they ascend
      program.image.end = start + p.p_memsz;
    }
  }
  return 1;
}

#if defined(__x86_64__)

constexpr unsigned kJumpBytes = 5;  // jmp rel32

// Length of the instruction at `p` if it is one of those that compilers put at a function's start
// and that mean the same anywhere (no address relative to itself), else 0.
unsigned movable_length(const unsigned char* p) {
  if (std::memcmp(p, "\xf3\x0f\x1e\xfa", 4) == 0) return 4;                    // endbr64
  if (p[0] >= 0x50 && p[0] <= 0x57) return 1;                                  // push
  if (p[0] >= 0xb8 && p[0] <= 0xbf) return 5;                                  // mov r32, imm32
  if (p[0] == 0x41 && p[1] >= 0x50 && p[1] <= 0x57) return 2;                  // push r8..r15
  if (p[0] == 0x48 && p[1] == 0x83 && p[2] == 0xec) return 4;                  // sub rsp, imm8
  if (p[0] == 0x48 && p[1] == 0x81 && p[2] == 0xec) return 7;                  // sub rsp, imm32
  if ((p[0] == 0x89 || p[0] == 0x31) && p[1] >= 0xc0) return 2;                // mov/xor r32, r32
  if (p[0] >= 0x41 && p[0] <= 0x4d && p[1] == 0x89 && p[2] >= 0xc0) return 3;  // mov r64, r64
  return 0;
}

bool reaches(const unsigned char* from, const void* to) {
  const auto distance = reinterpret_cast<std::intptr_t>(to) -
                        (reinterpret_cast<std::intptr_t>(from) + static_cast<long>(kJumpBytes));
  return distance >= INT32_MIN && distance <= INT32_MAX;
}

// Makes in `jump` the instruction that, standing at `at`, leads to `to`.
void make_jump(unsigned char* jump, const unsigned char* at, const void* to) {
  const auto distance = static_cast<std::int32_t>(
      reinterpret_cast<std::intptr_t>(to) -
      (reinterpret_cast<std::intptr_t>(at) + static_cast<long>(kJumpBytes)));
  jump[0] = 0xe9;
  std::memcpy(jump + 1, &distance, sizeof distance);
}

unsigned write_far_jump(unsigned char* at, const void* to) {
  std::memcpy(at, "\xff\x25\x00\x00\x00\x00", 6);  // jmp *0(%rip)
  std::memcpy(at + 6, &to, sizeof to);
  return 14;
}

#endif

}  // namespace

bool Patcher::find_tables() {
  if (tables_known_) return calls_.start != nullptr;
  tables_known_ = true;
  Program program;
  ::dl_iterate_phdr(take_first, &program);
  if (program.dynamic == nullptr) return false;
  base_ = program.base;
  image_ = program.image;
  read_only_ = program.read_only;
  for (const auto* d = program.dynamic; d->d_tag != DT_NULL; ++d) {
    // ld.so has turned these into addresses.
    if (d->d_tag == DT_JMPREL) calls_.start = reinterpret_cast<const void*>(d->d_un.d_ptr);
    if (d->d_tag == DT_PLTRELSZ) calls_.size = d->d_un.d_val;
    if (d->d_tag == DT_RELA) data_.start = reinterpret_cast<const void*>(d->d_un.d_ptr);
    if (d->d_tag == DT_RELASZ) data_.size = d->d_un.d_val;
    if (d->d_tag == DT_SYMTAB) symbols_ = reinterpret_cast<const void*>(d->d_un.d_ptr);
    if (d->d_tag == DT_STRTAB) strings_ = reinterpret_cast<const char*>(d->d_un.d_ptr);
    if (d->d_tag == DT_PLTREL && d->d_un.d_val != DT_RELA) return false;
  }
  return calls_.start != nullptr && symbols_ != nullptr && strings_ != nullptr;
}

bool Patcher::write(unsigned long address, const void* bytes, std::size_t size, int protection) {
  if (!memory_.valid()) memory_.reset(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  const auto written = static_cast<ssize_t>(size);
  if (::pwrite(memory_.get(), bytes, size, static_cast<off_t>(address)) == written) return true;
  if (!protect(address, size, protection | PROT_WRITE)) return false;
  std::memcpy(reinterpret_cast<void*>(address), bytes, size);
  return protect(address, size, protection);
}

bool Patcher::import(const char* name, void* replacement, void** original) {
  return find_tables() && (import_from(calls_, name, replacement, original) ||
                           import_from(data_, name, replacement, original));
}

bool Patcher::import_from(const Relocations& relocations, const char* name, void* replacement,
                          void** original) {
  const auto* rela = static_cast<const ElfW(Rela)*>(relocations.start);
  const auto* symbols = static_cast<const ElfW(Sym)*>(symbols_);
  for (std::size_t i = 0; i < relocations.size / sizeof *rela; ++i) {
    const auto type = ELF64_R_TYPE(rela[i].r_info);
    if (type != kCallSlot && type != kDataSlot) continue;
    const auto& symbol = symbols[ELF64_R_SYM(rela[i].r_info)];
    if (std::strcmp(strings_ + symbol.st_name, name) != 0) continue;
    const unsigned long slot = base_ + rela[i].r_offset;
    void* current;
    std::memcpy(&current, reinterpret_cast<void*>(slot), sizeof current);
    // Bound at its first call, which is still to come: the slot leads to ld.so, which would then
    // put the function there, in our place.
    const bool unbound = image_.contains(reinterpret_cast<unsigned long>(current));
    *original = unbound ? ::dlsym(RTLD_DEFAULT, name) : current;
    if (*original == nullptr) return false;
    return write(slot, &replacement, sizeof replacement,
                 read_only_.contains(slot) ? PROT_READ : PROT_READ | PROT_WRITE);
  }
  return false;
}

#if defined(__x86_64__)

bool Patcher::make_trampolines(void* near) {
  if (trampolines_ != nullptr) return true;
  // Below the program, where a short jump reaches it from everywhere in its text.
  const unsigned long start = page_of(reinterpret_cast<unsigned long>(near));
  for (unsigned long distance = 1UL << 21; distance < (1UL << 30); distance += 1UL << 21) {
    if (distance > start) return false;
    void* at =
        ::mmap(reinterpret_cast<void*>(start - distance), kTrampolineBytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (at == MAP_FAILED) continue;
    if (at != reinterpret_cast<void*>(start - distance)) {
      ::munmap(at, kTrampolineBytes);
      continue;
    }
    trampolines_ = static_cast<unsigned char*>(at);
    return true;
  }
  return false;
}

bool Patcher::entry(void* function, void* replacement, void** original) {
  if (!make_trampolines(function)) return false;
  auto* code = static_cast<unsigned char*>(function);
  unsigned moved = 0;
  while (moved < kJumpBytes) {
    const unsigned n = movable_length(code + moved);
    if (n == 0) return false;
    moved += n;
  }
  unsigned char* at = trampolines_ + used_;
  if (used_ + 64 > kTrampolineBytes || !reaches(code, at) || !reaches(at, code)) return false;
  used_ += 64;
  const unsigned head = write_far_jump(at, replacement);
  unsigned char* kept = at + head;
  std::memcpy(kept, code, moved);
  make_jump(kept + moved, kept + moved, code + moved);
  *original = kept;
  unsigned char jump[kJumpBytes];
  make_jump(jump, code, at);
  return write(reinterpret_cast<unsigned long>(code), jump, sizeof jump, PROT_READ | PROT_EXEC);
}

#else

bool Patcher::make_trampolines(void*) { return false; }
bool Patcher::entry(void*, void*, void**) { return false; }

#endif

bool Patcher::finish() {
  return trampolines_ == nullptr ||
         ::mprotect(trampolines_, kTrampolineBytes, PROT_READ | PROT_EXEC) == 0;
}

}  // namespace prewarm::bash
