// SPDX-License-Identifier: MIT
//
// Whether anything of the program's runs before its main. In most C programs all that does is what
// the compiler and libc link into each object, which does nothing; then there is nothing to watch.
// It is known by its code. Restrictions: see agent.h.
#include <link.h>

#include "park/agent.h"

namespace prewarm::agent {
namespace {

constexpr short kAny = -1;

// _init of crti.o: it calls __gmon_start__, if there is one.
constexpr short kInit[] = {0x48, 0x83, 0xec, 0x08, 0x48, 0x8b, 0x05, kAny, kAny, kAny, kAny, 0x48,
                           0x85, 0xc0, 0x74, 0x02, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3};
// frame_dummy of crtbegin.o: a jump to register_tm_clones, which has nothing to register.
constexpr short kFrameDummy[] = {0xe9, kAny, kAny, kAny, kAny};
constexpr short kRegisterClones[] = {0x48, 0x8d, 0x3d, kAny, kAny, kAny, kAny, 0x48, 0x8d,
                                     0x35, kAny, kAny, kAny, kAny, 0x48, 0x29, 0xfe, 0x48,
                                     0x89, 0xf0, 0x48, 0xc1, 0xee, 0x3f, 0x48, 0xc1, 0xf8,
                                     0x03, 0x48, 0x01, 0xc6, 0x48, 0xd1, 0xfe, 0x74};

template <std::size_t N>
bool is_code(const unsigned char* at, const short (&pattern)[N]) {
  for (std::size_t i = 0; i < N; ++i) {
    if (pattern[i] != kAny && at[i] != pattern[i]) return false;
  }
  return true;
}

const unsigned char* behind_endbr(const unsigned char* at) {
  constexpr short kEndbr[] = {0xf3, 0x0f, 0x1e, 0xfa};
  return is_code(at, kEndbr) ? at + sizeof kEndbr / sizeof kEndbr[0] : at;
}

bool does_nothing(const unsigned char* at) {
  at = behind_endbr(at);
  if (!is_code(at, kFrameDummy)) return false;
  std::int32_t distance;
  copy(reinterpret_cast<char*>(&distance), reinterpret_cast<const char*>(at + 1), sizeof distance);
  return is_code(at + 5 + distance, kRegisterClones);
}

// What ld.so will call for one object.
struct Initialisers {
  const unsigned char* init = nullptr;
  const unsigned char* const* array = nullptr;
  std::size_t count = 0;
  bool early = false;  // DT_PREINIT_ARRAY
};

Initialisers initialisers_of(const dl_phdr_info& info) {
  Initialisers found;
  for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
    if (info.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* d = reinterpret_cast<const ElfW(Dyn)*>(info.dlpi_addr + info.dlpi_phdr[i].p_vaddr);
    for (; d->d_tag != DT_NULL; ++d) {
      const ElfW(Addr) at = info.dlpi_addr + d->d_un.d_ptr;
      if (d->d_tag == DT_INIT) found.init = reinterpret_cast<const unsigned char*>(at);
      if (d->d_tag == DT_INIT_ARRAY) {
        found.array = reinterpret_cast<const unsigned char* const*>(at);
      }
      if (d->d_tag == DT_INIT_ARRAYSZ) found.count = d->d_un.d_val / sizeof(void*);
      found.early = found.early || d->d_tag == DT_PREINIT_ARRAYSZ;
    }
  }
  return found;
}

int has_own(dl_phdr_info* info, std::size_t, void*) {
  if (is_of_c_library(info->dlpi_name)) return 0;
  const Initialisers found = initialisers_of(*info);
  if (found.early) return 1;
  if (found.init != nullptr && !is_code(behind_endbr(found.init), kInit)) return 1;
  for (std::size_t i = 0; found.array != nullptr && i < found.count; ++i) {
    if (!does_nothing(found.array[i])) return 1;
  }
  return 0;
}

bool ends_with(const char* s, const char* suffix) {
  const std::size_t n = length(s);
  const std::size_t m = length(suffix);
  return n >= m && starts_with(s + (n - m), suffix);
}

}  // namespace

bool is_of_c_library(const char* name) {
  return name != nullptr && (ends_with(name, "/libc.so.6") || ends_with(name, kAgentName) ||
                             ends_with(name, "/ld-linux-x86-64.so.2"));
}

bool has_constructors() { return dl_iterate_phdr(has_own, nullptr) != 0; }

}  // namespace prewarm::agent
