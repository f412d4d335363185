// SPDX-License-Identifier: MIT
//
// Headers, segments and the dynamic section.
#include "image/elf_file.h"

#include <algorithm>
#include <bit>

namespace prewarm::image {
namespace {

constexpr std::uint64_t kPage = 4096;
// ld.so puts them on its stack; no linker makes more than a few dozen.
constexpr std::size_t kMostProgramHeaders = 256;

constexpr std::int64_t kExtraTags[] = {DT_VERSYM,    DT_RELACOUNT, DT_FLAGS_1,    DT_VERDEF,
                                       DT_VERDEFNUM, DT_VERNEED,   DT_VERNEEDNUM, DT_GNU_HASH};
constexpr std::int64_t kPlainTags = DT_RELRENT + 1;

// The tags whose values are kept have a slot; the others, less usual, are looked for.
std::optional<std::size_t> slot_of(std::int64_t tag) {
  if (tag >= 0 && tag < kPlainTags) return static_cast<std::size_t>(tag);
  for (std::size_t i = 0; i < std::size(kExtraTags); ++i) {
    if (kExtraTags[i] == tag) return static_cast<std::size_t>(kPlainTags) + i;
  }
  return {};
}

bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t whole) {
  return offset <= whole && size <= whole - offset;
}

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Kind ElfFile::kind_of(Bytes file) {
  Elf64_Ehdr header;
  if (file.size() < sizeof header) return Kind::not_elf;
  std::memcpy(&header, file.data(), sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return Kind::not_elf;
  // The order of ld.so's open_verify.
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return Kind::other_machine;
  const unsigned char abi = header.e_ident[EI_OSABI];
  constexpr auto kPadding = EI_ABIVERSION + 1;
  const bool padded = std::all_of(header.e_ident + kPadding, header.e_ident + EI_NIDENT,
                                  [](unsigned char byte) { return byte == 0; });
  const int most_abi_version = abi == ELFOSABI_GNU ? 3 : 0;
  if (header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_ident[EI_VERSION] != EV_CURRENT ||
      (abi != ELFOSABI_SYSV && abi != ELFOSABI_GNU) ||
      header.e_ident[EI_ABIVERSION] > most_abi_version || !padded ||
      header.e_version != EV_CURRENT) {
    return Kind::unusable;
  }
  if (header.e_machine != EM_X86_64) return Kind::other_machine;
  if ((header.e_type != ET_DYN && header.e_type != ET_EXEC) ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    return Kind::unusable;
  }
  return Kind::elf;
}

std::optional<ElfFile> ElfFile::read(Bytes file, Diagnostics& diagnostics) {
  const std::size_t before = diagnostics.count();
  ElfFile result;
  result.bytes_ = file;
  const bool all = result.read_header(diagnostics) && result.read_segments(diagnostics) &&
                   (!result.is_dynamic() ||
                    (result.read_strings(diagnostics) && result.read_relocations(diagnostics) &&
                     result.read_symbols(diagnostics) && result.read_versions(diagnostics) &&
                     result.read_arrays(diagnostics)));
  if (!all || diagnostics.count() != before) return {};
  return result;
}

// False also when problems are collected: without a good header there is nothing else to look at.
bool ElfFile::read_header(Diagnostics& diagnostics) {
  switch (kind_of(bytes_)) {
    case Kind::elf:
      break;
    case Kind::not_elf:
      diagnostics.report("no ELF header", bytes_.size());
      return false;
    case Kind::other_machine:
      diagnostics.report("not for 64-bit x86");
      return false;
    case Kind::unusable:
      diagnostics.report("an ELF header that ld.so refuses");
      return false;
  }
  std::memcpy(&header_, bytes_.data(), sizeof header_);
  const std::uint64_t size = std::uint64_t{header_.e_phnum} * sizeof(Elf64_Phdr);
  if (header_.e_phnum > kMostProgramHeaders || !fits(header_.e_phoff, size, bytes_.size())) {
    diagnostics.report("program headers outside the file", header_.e_phoff);
    return false;
  }
  program_headers_ = Table<Elf64_Phdr>(bytes_.subspan(header_.e_phoff, size));
  return true;
}

bool ElfFile::read_segments(Diagnostics& diagnostics) {
  loads_.reserve(4);
  std::uint64_t end = 0;
  for (const Elf64_Phdr p : program_headers_) {
    if (p.p_type == PT_LOAD && !read_load(p, end, diagnostics)) return false;
  }
  if (loads_.empty() && !diagnostics.report("nothing to load")) return false;
  std::uint16_t index = 0;
  for (const Elf64_Phdr p : program_headers_) {
    if (p.p_type != PT_LOAD && !read_other_segment(p, index, diagnostics)) return false;
    ++index;
  }
  return true;
}

// `end`: where the memory of those before it ends.
bool ElfFile::read_load(const Elf64_Phdr& segment, std::uint64_t& end, Diagnostics& diagnostics) {
  const char* problem = nullptr;
  if (segment.p_memsz == 0) {
    problem = "an empty segment";
  } else if (segment.p_filesz > segment.p_memsz || !std::has_single_bit(segment.p_align) ||
             segment.p_align % kPage != 0 ||
             ((segment.p_vaddr - segment.p_offset) & (segment.p_align - 1)) != 0) {
    problem = "a segment that ld.so refuses";
  } else if (!fits(segment.p_offset, segment.p_filesz, bytes_.size())) {
    problem = "a segment outside the file";
  } else if (segment.p_vaddr >= (std::uint64_t{1} << 47) ||
             segment.p_memsz >= (std::uint64_t{1} << 47)) {
    problem = "a segment outside the address space";
  } else if (!loads_.empty() && segment.p_vaddr / kPage < (end + kPage - 1) / kPage) {
    problem = "segments overlap, or aren't in order";
  }
  if (problem != nullptr) return diagnostics.report(problem, segment.p_vaddr);
  end = segment.p_vaddr + segment.p_memsz;
  loads_.push_back(segment);
  return true;
}

bool ElfFile::read_other_segment(const Elf64_Phdr& segment, std::uint16_t index,
                                 Diagnostics& diagnostics) {
  switch (segment.p_type) {
    case PT_DYNAMIC:
      return read_dynamic(segment, diagnostics);
    case PT_INTERP: {
      // The kernel reads it by its offset.
      if (!fits(segment.p_offset, segment.p_filesz, bytes_.size())) {
        return diagnostics.report("the interpreter's name is outside the file", segment.p_offset);
      }
      const auto name = text_of(bytes_.subspan(segment.p_offset, segment.p_filesz));
      if (name.size() < 2 || name.back() != '\0') {
        return diagnostics.report("the interpreter's name has no end", segment.p_offset);
      }
      interpreter_ = name.substr(0, name.find('\0'));
      return true;
    }
    case PT_TLS:
      tls_ = index;
      if (segment.p_filesz > segment.p_memsz ||
          (segment.p_align != 0 && !std::has_single_bit(segment.p_align)) ||
          (segment.p_filesz != 0 && bytes_at(segment.p_vaddr, segment.p_filesz).empty())) {
        return diagnostics.report("thread-local data outside the file", segment.p_vaddr);
      }
      return true;
    case PT_GNU_RELRO:
      relro_ = index;
      return true;
    case PT_GNU_EH_FRAME:
      eh_frame_ = index;
      return true;
    case PT_GNU_STACK:
      stack_ = index;
      return true;
    default:
      return true;
  }
}

bool ElfFile::read_dynamic(const Elf64_Phdr& segment, Diagnostics& diagnostics) {
  // ld.so goes by the address, reads until DT_NULL, and of several sections takes the last.
  dynamic_ = {};
  tags_ = {};
  tags_present_ = 0;
  const Table<Elf64_Dyn> all(bytes_at(segment.p_vaddr, segment.p_filesz));
  std::size_t count = 0;
  for (const Elf64_Dyn entry : all) {
    if (entry.d_tag == DT_NULL) {
      dynamic_ = all.first(count);
      return true;
    }
    if (const auto slot = slot_of(entry.d_tag)) {
      tags_[*slot] = entry.d_un.d_val;
      tags_present_ |= std::uint64_t{1} << *slot;
    }
    ++count;
  }
  return diagnostics.report("a dynamic section without an end", segment.p_vaddr);
}

std::optional<std::uint64_t> ElfFile::tag(std::int64_t tag) const {
  static_assert(kPlainTags + std::size(kExtraTags) <= kTags && kTags <= 64);
  if (const auto slot = slot_of(tag)) {
    if ((tags_present_ >> *slot & 1) == 0) return {};
    return tags_[*slot];
  }
  std::optional<std::uint64_t> result;
  for (const Elf64_Dyn entry : dynamic_) {
    if (entry.d_tag == tag) result = entry.d_un.d_val;
  }
  return result;
}

bool ElfFile::read_strings(Diagnostics& diagnostics) {
  const auto address = tag(DT_STRTAB);
  const std::uint64_t size = tag(DT_STRSZ).value_or(0);
  if (!address) return diagnostics.report("no table of strings");
  strings_ = text_of(bytes_at(*address, size));
  if (!strings_.ends_with('\0')) {
    strings_ = {};
    return diagnostics.report("a table of strings without an end", *address);
  }
  for (const std::int64_t name : {DT_SONAME, DT_RPATH, DT_RUNPATH}) {
    if (tag(name) && !string_of(name) && !diagnostics.report("a name outside the strings")) {
      return false;
    }
  }
  for (const Elf64_Dyn entry : dynamic_) {
    if (entry.d_tag == DT_NEEDED && !string(entry.d_un.d_val) &&
        !diagnostics.report("a needed name outside the strings", entry.d_un.d_val)) {
      return false;
    }
  }
  return true;
}

bool ElfFile::read_arrays(Diagnostics& diagnostics) {
  const AddressRange arrays[] = {preinit_array(), init_array(), fini_array()};
  for (const AddressRange array : arrays) {
    if (array.size == 0 || (array.size % sizeof(Elf64_Addr) == 0 && is_loaded(array))) continue;
    if (!diagnostics.report("an array of functions outside the segments", array.address)) {
      return false;
    }
  }
  return true;
}

std::optional<std::string_view> ElfFile::string(std::uint64_t offset) const {
  if (offset >= strings_.size()) return {};
  return std::string_view(strings_.data() + offset);  // the last byte is NUL
}

std::optional<std::string_view> ElfFile::string_of(std::int64_t tag_of_offset) const {
  const auto offset = tag(tag_of_offset);
  return offset ? string(*offset) : std::nullopt;
}

std::vector<std::string_view> ElfFile::needed() const {
  std::vector<std::string_view> result;
  for (const Elf64_Dyn entry : dynamic_) {
    if (entry.d_tag != DT_NEEDED) continue;
    if (const auto name = string(entry.d_un.d_val)) result.push_back(*name);
  }
  return result;
}

AddressRange ElfFile::range_of(std::int64_t address, std::int64_t size) const {
  const auto at = tag(address);
  return at ? AddressRange{*at, tag(size).value_or(0)} : AddressRange{};
}

std::optional<Elf64_Phdr> ElfFile::segment(std::int32_t index) const {
  if (index < 0) return {};
  return program_headers_[static_cast<std::size_t>(index)];
}

std::optional<std::uint32_t> ElfFile::stack_flags() const {
  const auto stack = segment(stack_);
  return stack ? std::optional(stack->p_flags) : std::nullopt;
}

AddressRange ElfFile::memory() const {
  if (loads_.empty()) return {};
  const std::uint64_t start = loads_.front().p_vaddr;
  return {start, loads_.back().p_vaddr + loads_.back().p_memsz - start};
}

std::optional<std::uint64_t> ElfFile::file_offset(std::uint64_t address) const {
  for (const Elf64_Phdr& p : loads_) {
    if (address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) {
      return p.p_offset + (address - p.p_vaddr);
    }
  }
  return {};
}

Bytes ElfFile::bytes_from(std::uint64_t address) const {
  for (const Elf64_Phdr& p : loads_) {
    if (address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) {
      const std::uint64_t into = address - p.p_vaddr;
      return bytes_.subspan(p.p_offset + into, p.p_filesz - into);
    }
  }
  return {};
}

Bytes ElfFile::bytes_at(std::uint64_t address, std::uint64_t size) const {
  const Bytes rest = bytes_from(address);
  return size <= rest.size() ? rest.first(size) : Bytes();
}

bool ElfFile::is_loaded(AddressRange range) const {
  return std::any_of(loads_.begin(), loads_.end(), [&](const Elf64_Phdr& p) {
    return range.address >= p.p_vaddr && fits(range.address - p.p_vaddr, range.size, p.p_memsz);
  });
}

}  // namespace prewarm::image
