// SPDX-License-Identifier: MIT
//
// What can be done once, in the zygote, instead of in every clone: binding of functions that ld.so
// would bind at their first call, and a library's own initialisation where that is idempotent.
// Restrictions: see agent.h.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>

#include "park/agent.h"

namespace prewarm::agent {
namespace {

#if defined(__x86_64__)
constexpr unsigned kJumpSlot = R_X86_64_JUMP_SLOT;
#elif defined(__aarch64__)
constexpr unsigned kJumpSlot = R_AARCH64_JUMP_SLOT;
#endif

// The parts of an object's dynamic section that binding needs.
struct Object {
  ElfW(Addr) base = 0;
  const ElfW(Phdr) * phdr = nullptr;
  unsigned phnum = 0;
  const ElfW(Rela) * relocations = nullptr;
  std::size_t relocations_size = 0;
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const ElfW(Half) * versions = nullptr;
  const ElfW(Verneed) * needed = nullptr;
  unsigned needed_count = 0;
  bool bound_already = false;
};

void read_dynamic(const ElfW(Dyn) * d, Object& o) {
  for (; d->d_tag != DT_NULL; ++d) {
    // ld.so has turned the pointers into addresses.
    const auto at = d->d_un.d_ptr;
    if (d->d_tag == DT_JMPREL) o.relocations = reinterpret_cast<const ElfW(Rela)*>(at);
    if (d->d_tag == DT_PLTRELSZ) o.relocations_size = d->d_un.d_val;
    if (d->d_tag == DT_SYMTAB) o.symbols = reinterpret_cast<const ElfW(Sym)*>(at);
    if (d->d_tag == DT_STRTAB) o.strings = reinterpret_cast<const char*>(at);
    if (d->d_tag == DT_VERSYM) o.versions = reinterpret_cast<const ElfW(Half)*>(at);
    // But for this one (ld.so adds the load address where it reads it).
    if (d->d_tag == DT_VERNEED) o.needed = reinterpret_cast<const ElfW(Verneed)*>(o.base + at);
    if (d->d_tag == DT_VERNEEDNUM) o.needed_count = static_cast<unsigned>(d->d_un.d_val);
    if (d->d_tag == DT_BIND_NOW || d->d_tag == DT_SYMBOLIC) o.bound_already = true;
    if (d->d_tag == DT_FLAGS && (d->d_un.d_val & (DF_BIND_NOW | DF_SYMBOLIC)) != 0) {
      o.bound_already = true;
    }
    if (d->d_tag == DT_FLAGS_1 && (d->d_un.d_val & DF_1_NOW) != 0) o.bound_already = true;
    if (d->d_tag == DT_PLTREL && d->d_un.d_val != DT_RELA) o.bound_already = true;
  }
}

// The version that the object asks for symbol `index` in; null if none, or one of its own.
const char* version_of(const Object& o, std::size_t index, bool& unversioned) {
  const unsigned wanted = o.versions == nullptr ? 0 : o.versions[index] & 0x7fffU;
  unversioned = wanted < 2;
  if (unversioned) return nullptr;
  const ElfW(Verneed)* need = o.needed;
  for (unsigned i = 0; need != nullptr && i < o.needed_count; ++i) {
    const auto* aux =
        reinterpret_cast<const ElfW(Vernaux)*>(reinterpret_cast<const char*>(need) + need->vn_aux);
    for (unsigned j = 0; j < need->vn_cnt; ++j) {
      if (aux->vna_other == wanted) return o.strings + aux->vna_name;
      aux = reinterpret_cast<const ElfW(Vernaux)*>(reinterpret_cast<const char*>(aux) +
                                                   aux->vna_next);
    }
    need =
        reinterpret_cast<const ElfW(Verneed)*>(reinterpret_cast<const char*>(need) + need->vn_next);
  }
  return nullptr;
}

// A slot that has not been bound points back into the object's own linkage code.
bool leads_into(const Object& o, ElfW(Addr) address) {
  for (unsigned i = 0; i < o.phnum; ++i) {
    const auto& p = o.phdr[i];
    if (p.p_type == PT_LOAD && (p.p_flags & PF_X) != 0 && address >= o.base + p.p_vaddr &&
        address < o.base + p.p_vaddr + p.p_memsz) {
      return true;
    }
  }
  return false;
}

void bind_slot(const Object& o, const ElfW(Rela) & r) {
  if (ELF64_R_TYPE(r.r_info) != kJumpSlot) return;
  auto* slot = reinterpret_cast<ElfW(Addr)*>(o.base + r.r_offset);
  if (!leads_into(o, *slot)) return;
  const std::size_t index = ELF64_R_SYM(r.r_info);
  const ElfW(Sym)& symbol = o.symbols[index];
  // What the object defines itself, or asks for weakly, is left to ld.so.
  if (symbol.st_shndx != SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) != STB_GLOBAL) return;
  const char* name = o.strings + symbol.st_name;
  bool unversioned = false;
  const char* version = version_of(o, index, unversioned);
  void* target = nullptr;
  if (version != nullptr) {
    target = dlvsym(RTLD_DEFAULT, name, version);
  } else if (unversioned) {
    target = dlsym(RTLD_DEFAULT, name);
  }
  if (target != nullptr) *slot = reinterpret_cast<ElfW(Addr)>(target);
}

int bind_object(dl_phdr_info* info, std::size_t, void*) {
  Object o;
  o.base = info->dlpi_addr;
  o.phdr = info->dlpi_phdr;
  o.phnum = info->dlpi_phnum;
  for (unsigned i = 0; i < o.phnum; ++i) {
    if (o.phdr[i].p_type == PT_DYNAMIC) {
      read_dynamic(reinterpret_cast<const ElfW(Dyn)*>(o.base + o.phdr[i].p_vaddr), o);
    }
  }
  if (o.bound_already || o.relocations == nullptr || o.symbols == nullptr || o.strings == nullptr) {
    return 0;
  }
  // The vDSO's dynamic section is read-only: its pointers are still relative.
  if (reinterpret_cast<ElfW(Addr)>(o.strings) < o.base) return 0;
  const std::size_t count = o.relocations_size / sizeof(ElfW(Rela));
  for (std::size_t i = 0; i < count; ++i) bind_slot(o, o.relocations[i]);
  return 0;
}

// The first object is the program.
int first_is_movable(dl_phdr_info* info, std::size_t, void* result) {
  *static_cast<bool*>(result) = info->dlpi_addr != 0;
  return 1;
}

bool is_program(const char* name) {
  char path[4096];
  const long n = os::raw_syscall(SYS_readlinkat, AT_FDCWD, os::arg("/proc/self/exe"), os::arg(path),
                                 sizeof path - 1);
  if (n <= 0) return false;
  path[n] = '\0';
  const char* base = path;
  for (const char* at = path; *at != '\0'; ++at) {
    if (*at == '/') base = at + 1;
  }
  return starts_with(base, name) && base[length(name)] == '\0';
}

// Whether OpenSSL's configuration takes in other files, which nobody would watch.
bool has_includes(const char* path) {
  static char text[65536];
  const long n = read_file(path, text, sizeof text - 1);
  // Not there, or too long to tell: nothing could watch for a change.
  if (n < 0 || n == sizeof text - 1) return true;
  text[n] = '\0';
  bool line_start = true;
  for (const char* at = text; *at != '\0'; ++at) {
    if (line_start && starts_with(at, ".include")) return true;
    line_start = *at == '\n' || (line_start && (*at == ' ' || *at == '\t'));
  }
  return false;
}

}  // namespace

const char* const kOpensslConfiguration = "/usr/lib/ssl/openssl.cnf";

void bind_lazily_bound() {
  // In a program that isn't position-independent a function's address may be its linkage code in
  // the program, for all objects: the slot would be bound to the code that jumps through it.
  bool movable = false;
  dl_iterate_phdr(first_is_movable, &movable);
  if (!movable) return;
  dl_iterate_phdr(bind_object, nullptr);
  dlerror();  // what was not found is nobody's business
}

// curl's main begins with curl_global_init(CURL_GLOBAL_DEFAULT), which counts its calls and does
// its work in the first. What it reads is watched: variables by getenv, and one file.
bool initialise_libraries() {
  using Initialiser = int (*)(long);
  if (!is_program("curl") || has_includes(kOpensslConfiguration)) return false;
  auto initialise = reinterpret_cast<Initialiser>(dlsym(RTLD_DEFAULT, "curl_global_init"));
  if (initialise == nullptr) return false;
  constexpr long kDefault = 3;  // CURL_GLOBAL_DEFAULT, curl/curl.h
  return initialise(kDefault) == 0;
}

}  // namespace prewarm::agent
