// SPDX-License-Identifier: MIT
#include "park/elf_file.h"

#include <elf.h>
#include <sys/mman.h>

#include <algorithm>

namespace prewarm::park {
namespace {

#if defined(__x86_64__)
constexpr std::string_view kInterpreter = "/lib64/ld-linux-x86-64.so.2";
#elif defined(__aarch64__)
constexpr std::string_view kInterpreter = "/lib/ld-linux-aarch64.so.1";
#endif

// The agent holds a program by taking the place of __libc_start_main. A program that doesn't get
// to main that way would simply run when parked, so its entry point must be glibc's own start-up
// code (crt1.o), which does nothing but call it.
bool enters_through_libc(std::string_view code) {
#if defined(__x86_64__)
  // xor %ebp,%ebp; mov %rdx,%r9; pop %rsi; mov %rsp,%rdx; and $-16,%rsp; push %rax; push %rsp
  constexpr std::string_view kStart =
      "\x31\xed\x49\x89\xd1\x5e\x48\x89\xe2\x48\x83\xe4\xf0\x50\x54";
  constexpr std::string_view kEndbr = "\xf3\x0f\x1e\xfa";
#elif defined(__aarch64__)
  // mov x29,#0; mov x30,#0; mov x5,x0
  constexpr std::string_view kStart = "\x1d\x00\x80\xd2\x1e\x00\x80\xd2\xe5\x03\x00\xaa";
  constexpr std::string_view kEndbr = "\x5f\x24\x03\xd5";
#endif
  if (code.starts_with(kEndbr)) code.remove_prefix(kEndbr.size());
  return code.starts_with(kStart);
}

// Where a virtual address lies in the file; 0 if nowhere.
std::uint64_t file_offset(const MappedFile& file, const Elf64_Ehdr& header, std::uint64_t address) {
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    if (!file.read(header.e_phoff + i * sizeof p, p)) return 0;
    if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) {
      return p.p_offset + (address - p.p_vaddr);
    }
  }
  return 0;
}

// The head of a DT_GNU_HASH table. Behind it come the words of a filter, the buckets (each the
// number of its first symbol, 0 if it has none), and for each symbol from the first on its hash,
// whose lowest bit says that it is the last of its bucket.
struct HashHead {
  std::uint32_t bucket_count;
  std::uint32_t first_symbol;
  std::uint32_t filter_words;
  std::uint32_t filter_shift;
};

std::uint32_t hash_of(std::string_view name) {
  std::uint32_t h = 5381;
  for (const char c : name) h = h * 33 + static_cast<unsigned char>(c);
  return h;
}

// The name that starts at `offset`; empty if there is none.
std::string_view name_at(const DynamicSection& dynamic, std::uint32_t offset) {
  if (offset >= dynamic.names.size()) return {};
  const auto end = dynamic.names.find('\0', offset);
  return end == std::string_view::npos ? std::string_view()
                                       : dynamic.names.substr(offset, end - offset);
}

bool exports(const MappedFile& file, const DynamicSection& dynamic, const HashHead& head,
             std::string_view name) {
  const std::uint64_t buckets =
      dynamic.hashes + sizeof head + std::uint64_t{head.filter_words} * sizeof(std::uint64_t);
  const std::uint64_t chains = buckets + std::uint64_t{head.bucket_count} * sizeof(std::uint32_t);
  const std::uint32_t wanted = hash_of(name);
  std::uint32_t i;
  if (!file.read(buckets + wanted % head.bucket_count * sizeof i, i)) return false;
  if (i < head.first_symbol) return false;
  for (;; ++i) {
    std::uint32_t hash;
    if (!file.read(chains + std::uint64_t{i - head.first_symbol} * sizeof hash, hash)) return false;
    Elf64_Sym symbol;
    if ((hash | 1) == (wanted | 1) && file.read(dynamic.symbols + i * sizeof symbol, symbol) &&
        symbol.st_shndx != SHN_UNDEF && name_at(dynamic, symbol.st_name) == name) {
      return true;
    }
    if ((hash & 1) != 0) return false;
  }
}

}  // namespace

MappedFile::MappedFile(int fd, std::size_t size) : size_(size) {
  void* at = size == 0 ? MAP_FAILED : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  bytes_ = at == MAP_FAILED ? nullptr : static_cast<const char*>(at);
}

MappedFile::~MappedFile() {
  if (bytes_ != nullptr) ::munmap(const_cast<char*>(bytes_), size_);
}

launch::Reason check_elf(const MappedFile& file) {
  using launch::Reason;
  Elf64_Ehdr header;
  if (!file.read(0, header)) return Reason::not_elf;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return Reason::not_elf;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine) {
    return Reason::wrong_machine;
  }
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return Reason::not_elf;
  bool interpreted = false;
  bool entry_seen = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    if (!file.read(header.e_phoff + i * sizeof p, p)) return Reason::not_elf;
    if (p.p_type == PT_INTERP) {
      auto name = file.at(p.p_offset, p.p_filesz);
      while (name.ends_with('\0')) name.remove_suffix(1);
      if (name != kInterpreter) return Reason::foreign_libc;
      interpreted = true;
    }
    if (p.p_type == PT_LOAD && header.e_entry >= p.p_vaddr &&
        header.e_entry - p.p_vaddr < p.p_filesz) {
      const std::uint64_t into = header.e_entry - p.p_vaddr;
      const auto rest = std::min<std::uint64_t>(p.p_filesz - into, 64);
      if (!enters_through_libc(file.at(p.p_offset + into, rest))) return Reason::unusual_entry;
      entry_seen = true;
    }
  }
  if (!interpreted) return Reason::static_program;
  return entry_seen ? Reason::none : Reason::unusual_entry;
}

DynamicSection read_dynamic(const MappedFile& file) {
  DynamicSection result;
  Elf64_Ehdr header;
  if (!file.read(0, header)) return result;
  std::uint64_t strings = 0;
  std::uint64_t size = 0;
  std::uint64_t tables[2] = {};
  std::uint64_t table_sizes[2] = {};
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    if (!file.read(header.e_phoff + i * sizeof p, p)) return result;
    if (p.p_type != PT_DYNAMIC) continue;
    Elf64_Dyn d{};
    for (std::uint64_t at = 0; at + sizeof d <= p.p_filesz; at += sizeof d) {
      if (!file.read(p.p_offset + at, d) || d.d_tag == DT_NULL) break;
      if (d.d_tag == DT_STRTAB) strings = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_STRSZ) size = d.d_un.d_val;
      if (d.d_tag == DT_SYMTAB) result.symbols = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_VERSYM) result.versions = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_GNU_HASH) result.hashes = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_RELA) tables[0] = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_RELASZ) table_sizes[0] = d.d_un.d_val;
      if (d.d_tag == DT_JMPREL) tables[1] = file_offset(file, header, d.d_un.d_ptr);
      if (d.d_tag == DT_PLTRELSZ) table_sizes[1] = d.d_un.d_val;
      if (d.d_tag == DT_RPATH || d.d_tag == DT_RUNPATH) result.search_path = d.d_un.d_val;
    }
  }
  for (int i = 0; i < 2; ++i) result.relocations[i] = file.at(tables[i], table_sizes[i]);
  result.names = file.at(strings, size);
  result.found = strings != 0 && !result.names.empty();
  return result;
}

bool exports_needs_of(const MappedFile& program, const MappedFile& library) {
  const DynamicSection ours = read_dynamic(program);
  const DynamicSection theirs = read_dynamic(library);
  HashHead our_head;
  HashHead their_head;
  if (ours.hashes == 0 || !program.read(ours.hashes, our_head) || our_head.bucket_count == 0 ||
      theirs.hashes == 0 || !library.read(theirs.hashes, their_head)) {
    return false;
  }
  // What a file doesn't define stands before what can be found by its hash; number 0 is nothing.
  for (std::uint32_t i = 1; i < their_head.first_symbol; ++i) {
    Elf64_Sym symbol;
    std::uint16_t version;
    if (!library.read(theirs.symbols + i * sizeof symbol, symbol) ||
        !library.read(theirs.versions + i * sizeof version, version)) {
      return false;
    }
    const bool needed = symbol.st_shndx == SHN_UNDEF && ELF64_ST_BIND(symbol.st_info) == STB_GLOBAL;
    const bool of_program = (version & 0x7fff) <= VER_NDX_GLOBAL;
    if (needed && of_program &&
        !exports(program, ours, our_head, name_at(theirs, symbol.st_name))) {
      return false;
    }
  }
  return true;
}

}  // namespace prewarm::park
