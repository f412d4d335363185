// SPDX-License-Identifier: MIT
//
// Reads programs and libraries for x86-64 as glibc's dynamic linker understands them, without
// loading them. The format: the System V ABI (generic and x86-64 supplement), the GNU extensions as
// in <elf.h>; where ld.so of glibc 2.36 goes its own way, this follows ld.so.
//
// Nothing in a file is trusted: any bytes are safe to read. What is wrong with the parts that every
// user needs is found when the file is read (ElfFile::read); the other parts are checked when they
// are asked for. All numbers that come out of a file and index something (symbol, version, name)
// may be passed back in without a check: what lies outside yields nothing.
//
// `address` is always an address as the file has it, before the base at which it is loaded is
// added.
#pragma once

#include <elf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "image/diagnostics.h"

namespace prewarm::image {

using Bytes = std::span<const std::byte>;

// Entries of a table in a file, at any alignment. An index beyond the end yields T{}.
template <class T>
class Table {
 public:
  Table() = default;
  explicit Table(Bytes bytes) : at_(bytes.data()), size_(bytes.size() / sizeof(T)) {}

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T operator[](std::size_t i) const {
    T value{};
    if (i < size_) std::memcpy(&value, at_ + i * sizeof value, sizeof value);
    return value;
  }
  Table first(std::size_t count) const {
    Table result = *this;
    if (count < size_) result.size_ = count;
    return result;
  }

  class Iterator {
   public:
    explicit Iterator(const std::byte* at) : at_(at) {}
    T operator*() const {
      T value;
      std::memcpy(&value, at_, sizeof value);
      return value;
    }
    Iterator& operator++() {
      at_ += sizeof(T);
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const std::byte* at_;
  };
  Iterator begin() const { return Iterator(at_); }
  Iterator end() const { return Iterator(size_ == 0 ? at_ : at_ + size_ * sizeof(T)); }

 private:
  const std::byte* at_ = nullptr;
  std::size_t size_ = 0;
};

struct AddressRange {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

// A version that symbols of the file ask for or have; ld.so's r_found_version. Names live in the
// file's bytes.
struct Version {
  std::string_view name;
  std::string_view file;   // who is to define it, as DT_VERNEED names it; empty if this file does
  std::uint32_t hash = 0;  // as stored: of `name`, by elf_hash
  std::uint16_t index = 0;
  bool hidden = false;  // bit 15 of a need's index: a definition without version won't do
  bool weak = false;    // a need that may remain unsatisfied
};

struct Symbol {
  std::string_view name;
  std::uint64_t value = 0;
  std::uint64_t size = 0;
  std::uint16_t section = 0;
  std::uint8_t type = 0;
  std::uint8_t binding = 0;
  std::uint8_t visibility = 0;
};

std::uint32_t gnu_hash(std::string_view name);  // of DT_GNU_HASH
std::uint32_t elf_hash(std::string_view name);  // of DT_HASH and of versions

// What is looked up. `version` is version_of(symbol) of the file whose symbol asks.
struct Wanted {
  Wanted(std::string_view wanted, const Version* of, bool call)
      : name(wanted), hash(gnu_hash(wanted)), version(of), for_call(call) {}
  std::string_view name;
  std::uint32_t hash;
  const Version* version;
  bool for_call;  // R_X86_64_JUMP_SLOT and the TLS ones (ELF_RTYPE_CLASS_PLT): an undefined symbol
                  // with an address (the canonical PLT entry of a program) isn't an answer
};

enum class Kind {
  elf,            // a 64-bit file for x86-64: `read` may be tried
  not_elf,        // ld.so stops: "invalid ELF header", "file too short"
  other_machine,  // of another class or machine: ld.so's search goes on in the next directory
  unusable,       // of another version, ABI or type: ld.so stops
};

class ElfFile {
 public:
  // As ld.so decides when it opens a file that it found.
  static Kind kind_of(Bytes file);

  // `file` must live as long as the result. Nothing if anything was reported.
  static std::optional<ElfFile> read(Bytes file, Diagnostics& diagnostics);

  Bytes bytes() const { return bytes_; }
  const Elf64_Ehdr& header() const { return header_; }
  bool is_executable() const { return header_.e_type == ET_EXEC; }

  // ---- Segments

  Table<Elf64_Phdr> program_headers() const { return program_headers_; }
  // PT_LOAD: ascending, no two with a page of 4096 bytes in common.
  const std::vector<Elf64_Phdr>& loads() const { return loads_; }
  // From the start of the first to the end of the last, not rounded. Size 0 if there is none.
  AddressRange memory() const;
  // PT_INTERP, without its NUL. Nothing if there is none.
  std::optional<std::string_view> interpreter() const { return interpreter_; }
  std::optional<Elf64_Phdr> tls() const { return segment(tls_); }
  std::optional<Elf64_Phdr> relro() const { return segment(relro_); }
  std::optional<Elf64_Phdr> eh_frame_header() const { return segment(eh_frame_); }
  // PF_* of PT_GNU_STACK. Without one ld.so makes stacks executable.
  std::optional<std::uint32_t> stack_flags() const;

  // Where it lies in the file; nothing for what isn't in the file (.bss, or outside all segments).
  std::optional<std::uint64_t> file_offset(std::uint64_t address) const;
  // `size` bytes at `address` if all of them are in the file, in one segment. Else nothing (empty).
  Bytes bytes_at(std::uint64_t address, std::uint64_t size) const;
  // All bytes from there to the end of the segment's part of the file.
  Bytes bytes_from(std::uint64_t address) const;
  // Whether all of it is in one segment's memory.
  bool is_loaded(AddressRange range) const;

  // ---- The dynamic section

  bool is_dynamic() const { return !dynamic_.empty(); }
  // Without the DT_NULL at the end.
  Table<Elf64_Dyn> dynamic() const { return dynamic_; }
  // The value of a tag; of several the last, as ld.so has it.
  std::optional<std::uint64_t> tag(std::int64_t tag) const;
  std::uint64_t flags() const { return tag(DT_FLAGS).value_or(0); }
  std::uint64_t flags_1() const { return tag(DT_FLAGS_1).value_or(0); }
  // DT_STRTAB: its last byte is NUL. `string` yields nothing for an offset outside.
  std::string_view strings() const { return strings_; }
  std::optional<std::string_view> string(std::uint64_t offset) const;
  std::vector<std::string_view> needed() const;
  std::optional<std::string_view> soname() const { return string_of(DT_SONAME); }
  std::optional<std::string_view> rpath() const { return string_of(DT_RPATH); }
  std::optional<std::string_view> runpath() const { return string_of(DT_RUNPATH); }

  // DT_INIT_ARRAY and the like. The entries are what the file has, before relocation: usually an
  // R_X86_64_RELATIVE says more.
  AddressRange preinit_array() const { return range_of(DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ); }
  AddressRange init_array() const { return range_of(DT_INIT_ARRAY, DT_INIT_ARRAYSZ); }
  AddressRange fini_array() const { return range_of(DT_FINI_ARRAY, DT_FINI_ARRAYSZ); }

  // ---- Symbols

  // DT_HASH and DT_GNU_HASH say how many there are. A DT_GNU_HASH without a single entry doesn't:
  // then those count that a relocation uses.
  std::uint32_t symbol_count() const { return symbol_count_; }
  std::optional<Symbol> symbol(std::uint64_t index) const;
  // Without looking at the name; T{} beyond the end.
  Elf64_Sym raw_symbol(std::uint64_t index) const { return symbols_[index]; }

  // False if there is no table of versions, or neither needs nor definitions: ld.so then takes no
  // notice of versions.
  bool has_versions() const { return !versyms_.empty(); }
  // The entry of DT_VERSYM: bit 15 says hidden; 0 local, 1 without a version. 1 if there are none.
  std::uint16_t versym(std::uint64_t index) const;
  // The version that a symbol asks for or has; null if none.
  const Version* version_of(std::uint64_t index) const;
  const std::vector<Version>& needed_versions() const { return needs_; }
  // Without that of the file itself (VER_FLG_BASE).
  const std::vector<Version>& defined_versions() const { return definitions_; }

  // The symbol that ld.so would take from this file (do_lookup_x and check_match of glibc 2.36), by
  // its index. What is left to the caller: that a copy relocation doesn't look into the program,
  // and that GNU_UNIQUE symbols are one in the process.
  std::optional<std::uint32_t> find(const Wanted& wanted) const;

  // ---- Relocations

  Table<Elf64_Rela> relocations() const { return rela_; }  // DT_RELA, without those of DT_JMPREL
  Table<Elf64_Rela> plt_relocations() const { return plt_rela_; }
  // The addresses of the words that DT_RELR makes relative, in its order. Nothing if something is
  // wrong with it, or if one isn't in a segment.
  std::optional<std::vector<std::uint64_t>> relative_words(Diagnostics& diagnostics) const;

  // ---- What is read on demand

  // Of NT_GNU_BUILD_ID; empty if there is none.
  Bytes build_id() const;
  // Of the sections that are loaded: at any multiple of it (and of what segments of TLS ask for)
  // the file works as at a multiple of a page. Nothing if the file has no section headers or they
  // contradict the segments.
  std::optional<std::uint64_t> largest_section_alignment() const;

 private:
  struct GnuHash {
    Table<std::uint64_t> filter;
    Table<std::uint32_t> buckets;
    Table<std::uint32_t> chains;  // of the symbols from first_symbol on
    std::uint32_t first_symbol = 0;
    std::uint32_t shift = 0;
  };
  struct OldHash {
    Table<std::uint32_t> buckets;
    Table<std::uint32_t> chains;
  };
  // State of a search by name in one file.
  struct Match {
    std::uint32_t versioned = 0;  // candidates with a version, though none was asked for
    std::uint32_t first_versioned = 0;
  };
  static constexpr std::size_t kTags = 48;

  ElfFile() = default;

  // Each returns whether to go on.
  bool read_header(Diagnostics& diagnostics);
  bool read_segments(Diagnostics& diagnostics);
  bool read_load(const Elf64_Phdr& segment, std::uint64_t& end, Diagnostics& diagnostics);
  bool read_other_segment(const Elf64_Phdr& segment, std::uint16_t index, Diagnostics& diagnostics);
  bool read_dynamic(const Elf64_Phdr& segment, Diagnostics& diagnostics);
  bool read_strings(Diagnostics& diagnostics);
  bool read_relocations(Diagnostics& diagnostics);
  bool read_gnu_hash(std::uint64_t address, Diagnostics& diagnostics);
  bool read_old_hash(std::uint64_t address, Diagnostics& diagnostics);
  bool read_symbols(Diagnostics& diagnostics);
  bool read_versions(Diagnostics& diagnostics);
  bool read_needs(std::uint64_t address, Diagnostics& diagnostics);
  bool read_definitions(std::uint64_t address, Diagnostics& diagnostics);
  void index_versions(std::uint16_t highest);
  bool read_arrays(Diagnostics& diagnostics);

  std::optional<std::string_view> string_of(std::int64_t tag_of_offset) const;
  AddressRange range_of(std::int64_t address, std::int64_t size) const;
  std::optional<Elf64_Phdr> segment(std::int32_t index) const;
  Bytes dynamic_table(std::int64_t address, std::int64_t size, std::size_t entry,
                      Diagnostics& diagnostics, bool& go_on) const;
  // check_match: whether the symbol is it. Candidates are noted in `match`.
  bool is_match(std::uint32_t index, const Wanted& wanted, Match& match) const;
  bool has_name(const Elf64_Sym& symbol, std::string_view name) const;
  std::optional<std::uint32_t> find_by_gnu_hash(const Wanted& wanted, Match& match) const;
  std::optional<std::uint32_t> find_by_old_hash(const Wanted& wanted, Match& match) const;

  Bytes bytes_;
  Elf64_Ehdr header_{};
  Table<Elf64_Phdr> program_headers_;
  std::vector<Elf64_Phdr> loads_;
  std::int32_t tls_ = -1;  // indices of program headers
  std::int32_t relro_ = -1;
  std::int32_t eh_frame_ = -1;
  std::int32_t stack_ = -1;
  std::optional<std::string_view> interpreter_;
  Table<Elf64_Dyn> dynamic_;
  std::array<std::uint64_t, kTags> tags_{};  // values of the usual tags, see slot_of
  std::uint64_t tags_present_ = 0;           // a bit for each of them
  std::string_view strings_;
  Table<Elf64_Sym> symbols_;
  std::uint32_t symbol_count_ = 0;
  GnuHash gnu_hash_;
  bool has_gnu_hash_ = false;
  OldHash old_hash_;
  Table<std::uint16_t> versyms_;
  std::vector<Version> needs_;
  std::vector<Version> definitions_;
  std::vector<Version> versions_;  // by index, as ld.so's l_versions: hash 0 if there is none
  Table<Elf64_Rela> rela_;
  Table<Elf64_Rela> plt_rela_;
};

}  // namespace prewarm::image
