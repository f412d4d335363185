// SPDX-License-Identifier: MIT
//
// What is read of a library before it is linked into an image: any bytes are safe to read, and what
// is accepted lies in the file and agrees with itself.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "image/elf_file.h"
#include "invariant.h"

namespace {

using prewarm::image::Bytes;
using prewarm::image::Diagnostics;
using prewarm::image::ElfFile;
using prewarm::image::Kind;
using prewarm::image::Version;
using prewarm::image::Wanted;

constexpr std::uint32_t kMostLookups = 1000;  // so that an input takes no longer than it should

bool lies_in(Bytes whole, const void* at, std::size_t size) {
  if (size == 0) return true;
  const auto* start = static_cast<const std::byte*>(at);
  return start >= whole.data() && size <= whole.size() &&
         static_cast<std::size_t>(start - whole.data()) <= whole.size() - size;
}

void check_segments(const ElfFile& elf) {
  std::uint64_t end = 0;
  for (const Elf64_Phdr& p : elf.loads()) {
    PREWARM_MUST(p.p_vaddr >= end);
    PREWARM_MUST(p.p_offset + p.p_filesz <= elf.bytes().size());
    PREWARM_MUST(elf.is_loaded({p.p_vaddr, p.p_memsz}));
    PREWARM_MUST(!elf.is_loaded({p.p_vaddr, p.p_memsz + 1}));
    end = p.p_vaddr + p.p_memsz;
  }
  PREWARM_MUST(elf.memory().address + elf.memory().size == end);
  if (const auto name = elf.interpreter()) {
    PREWARM_MUST(lies_in(elf.bytes(), name->data(), name->size()));
  }
  const Bytes id = elf.build_id();
  PREWARM_MUST(lies_in(elf.bytes(), id.data(), id.size()));
  if (const auto alignment = elf.largest_section_alignment()) {
    PREWARM_MUST((*alignment & (*alignment - 1)) == 0);
  }
}

void check_dynamic(const ElfFile& elf) {
  for (const Elf64_Dyn entry : elf.dynamic()) {
    PREWARM_MUST(entry.d_tag != DT_NULL);
    PREWARM_MUST(elf.tag(entry.d_tag).has_value());
  }
  for (const std::string_view name : elf.needed()) {
    PREWARM_MUST(lies_in(elf.bytes(), name.data(), name.size() + 1));
  }
  for (const auto array : {elf.preinit_array(), elf.init_array(), elf.fini_array()}) {
    PREWARM_MUST(array.size == 0 || elf.is_loaded(array));
  }
}

void check_symbol(const ElfFile& elf, std::uint32_t index) {
  const auto symbol = elf.symbol(index);
  if (!symbol) return;
  PREWARM_MUST(lies_in(elf.bytes(), symbol->name.data(), symbol->name.size() + 1));
  const Version* version = elf.version_of(index);
  if (version != nullptr) {
    PREWARM_MUST(elf.has_versions());
    PREWARM_MUST(version->index == (elf.versym(index) & 0x7fff));
    PREWARM_MUST(lies_in(elf.bytes(), version->name.data(), version->name.size() + 1));
  }
  for (const bool call : {false, true}) {
    for (const Version* asked : {version, static_cast<const Version*>(nullptr)}) {
      const auto found = elf.find(Wanted(symbol->name, asked, call));
      if (!found) continue;
      PREWARM_MUST(*found < elf.symbol_count());
      const auto other = elf.symbol(*found);
      PREWARM_MUST(other.has_value());
      PREWARM_MUST(other->name == symbol->name);
      PREWARM_MUST(other->binding != STB_LOCAL);
      PREWARM_MUST(!call || other->section != SHN_UNDEF);
      const Version* theirs = elf.version_of(*found);
      PREWARM_MUST(asked == nullptr || theirs == nullptr || theirs->name == asked->name);
    }
  }
}

void check_relocations(const ElfFile& elf) {
  const auto data = elf.relocations();
  const auto calls = elf.plt_relocations();
  for (const auto& table : {data, calls}) {
    PREWARM_MUST(table.size() * sizeof(Elf64_Rela) <= elf.bytes().size());
    for (std::size_t i = 0; i < std::min<std::size_t>(table.size(), kMostLookups); ++i) {
      elf.symbol(ELF64_R_SYM(table[i].r_info));
      elf.file_offset(table[i].r_offset);
    }
  }
  Diagnostics diagnostics;
  if (const auto words = elf.relative_words(diagnostics)) {
    PREWARM_MUST(diagnostics.count() == 0);
    for (const std::uint64_t address : *words) PREWARM_MUST(elf.is_loaded({address, 8}));
  } else {
    PREWARM_MUST(diagnostics.count() == 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // At an odd address, and with an end of its own.
  std::vector<std::uint8_t> copy(size + 1);
  if (size != 0) std::memcpy(copy.data() + 1, data, size);
  const Bytes file = std::as_bytes(std::span(copy)).subspan(1);
  Diagnostics first;
  Diagnostics all(Diagnostics::Mode::collect);
  const auto elf = ElfFile::read(file, first);
  PREWARM_MUST(elf.has_value() == (first.count() == 0));
  PREWARM_MUST(first.count() <= 1);
  PREWARM_MUST(ElfFile::read(file, all).has_value() == elf.has_value());
  PREWARM_MUST(all.count() >= first.count());
  PREWARM_MUST(all.problems().size() <= Diagnostics::kMostKept);
  PREWARM_MUST(all.first() == first.first());
  if (!elf) return 0;
  PREWARM_MUST(ElfFile::kind_of(file) == Kind::elf);
  check_segments(*elf);
  check_dynamic(*elf);
  for (std::uint32_t i = 0; i < std::min(elf->symbol_count(), kMostLookups); ++i) {
    check_symbol(*elf, i);
  }
  PREWARM_MUST(!elf->symbol(elf->symbol_count()).has_value());
  PREWARM_MUST(elf->string(elf->strings().size()) == std::nullopt);
  check_relocations(*elf);
  return 0;
}
