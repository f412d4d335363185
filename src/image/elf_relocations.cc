// SPDX-License-Identifier: MIT
//
// Relocations, and what is read of notes and sections.
#include <algorithm>
#include <bit>

#include "image/elf_file.h"

namespace prewarm::image {

Bytes ElfFile::dynamic_table(std::int64_t address, std::int64_t size, std::size_t entry,
                             Diagnostics& diagnostics, bool& go_on) const {
  const AddressRange range = range_of(address, size);
  if (range.size == 0) return {};
  const Bytes bytes = bytes_at(range.address, range.size);
  if (bytes.empty() || bytes.size() % entry != 0) {
    go_on = diagnostics.report("relocations outside the file", range.address);
    return {};
  }
  return bytes;
}

bool ElfFile::read_relocations(Diagnostics& diagnostics) {
  if (tag(DT_REL) || tag(DT_PLTREL).value_or(DT_RELA) != DT_RELA ||
      tag(DT_RELAENT).value_or(sizeof(Elf64_Rela)) != sizeof(Elf64_Rela) ||
      tag(DT_RELRENT).value_or(sizeof(Elf64_Relr)) != sizeof(Elf64_Relr)) {
    return diagnostics.report("relocations of another kind");
  }
  bool go_on = true;
  Bytes data = dynamic_table(DT_RELA, DT_RELASZ, sizeof(Elf64_Rela), diagnostics, go_on);
  if (!go_on) return false;
  const Bytes calls = dynamic_table(DT_JMPREL, DT_PLTRELSZ, sizeof(Elf64_Rela), diagnostics, go_on);
  if (!go_on) return false;
  // Some linkers count those of calls among the others, at the end.
  if (!calls.empty() && data.size() >= calls.size() &&
      data.data() + data.size() == calls.data() + calls.size()) {
    data = data.first(data.size() - calls.size());
  }
  rela_ = Table<Elf64_Rela>(data);
  plt_rela_ = Table<Elf64_Rela>(calls);
  dynamic_table(DT_RELR, DT_RELRSZ, sizeof(Elf64_Relr), diagnostics, go_on);
  return go_on;
}

// An even entry is the address of a word; an odd one says by its other bits which of the 63 words
// that follow the last entry's words.
std::optional<std::vector<std::uint64_t>> ElfFile::relative_words(Diagnostics& diagnostics) const {
  constexpr std::uint64_t kWord = sizeof(Elf64_Addr);
  constexpr std::uint64_t kWordsOfEntry = 63;
  std::vector<std::uint64_t> result;
  const AddressRange range = range_of(DT_RELR, DT_RELRSZ);
  std::uint64_t next = 0;
  bool started = false;
  const std::size_t before = diagnostics.count();
  for (const Elf64_Relr entry : Table<Elf64_Relr>(bytes_at(range.address, range.size))) {
    if ((entry & 1) == 0) {
      if (is_loaded({entry, kWord})) {
        result.push_back(entry);
      } else if (!diagnostics.report("a relative word outside the segments", entry)) {
        return {};
      }
      next = entry + kWord;
      started = true;
      continue;
    }
    if (!started) {
      diagnostics.report("relative words without a first address", range.address);
      return {};
    }
    std::uint64_t bits = entry >> 1;
    for (std::uint64_t at = next; bits != 0; bits >>= 1, at += kWord) {
      if ((bits & 1) == 0) continue;
      if (is_loaded({at, kWord})) {
        result.push_back(at);
      } else if (!diagnostics.report("a relative word outside the segments", at)) {
        return {};
      }
    }
    next += kWordsOfEntry * kWord;
  }
  if (diagnostics.count() != before) return {};
  return result;
}

namespace {

std::uint64_t padded(std::uint64_t size, std::uint64_t alignment) {
  return (size + alignment - 1) & ~(alignment - 1);
}

// The description of the build id among `notes`; empty if it isn't there.
Bytes build_id_of(Bytes notes, std::uint64_t alignment) {
  constexpr std::string_view kOwner{"GNU\0", 4};
  Elf64_Nhdr head;
  while (notes.size() >= sizeof head) {
    std::memcpy(&head, notes.data(), sizeof head);
    const std::uint64_t description = padded(sizeof head + head.n_namesz, alignment);
    const std::uint64_t end = description + head.n_descsz;
    if (end > notes.size()) return {};
    const std::string_view owner(reinterpret_cast<const char*>(notes.data()) + sizeof head,
                                 head.n_namesz);
    if (head.n_type == NT_GNU_BUILD_ID && owner == kOwner) {
      return notes.subspan(description, head.n_descsz);
    }
    notes = notes.subspan(std::min<std::uint64_t>(padded(end, alignment), notes.size()));
  }
  return {};
}

}  // namespace

Bytes ElfFile::build_id() const {
  for (const Elf64_Phdr p : program_headers_) {
    if (p.p_type != PT_NOTE || p.p_offset > bytes_.size() ||
        p.p_filesz > bytes_.size() - p.p_offset) {
      continue;
    }
    const Bytes id = build_id_of(bytes_.subspan(p.p_offset, p.p_filesz), p.p_align == 8 ? 8 : 4);
    if (!id.empty()) return id;
  }
  return {};
}

std::optional<std::uint64_t> ElfFile::largest_section_alignment() const {
  const std::uint64_t size = std::uint64_t{header_.e_shnum} * sizeof(Elf64_Shdr);
  if (header_.e_shnum == 0 || header_.e_shentsize != sizeof(Elf64_Shdr) ||
      header_.e_shoff > bytes_.size() || size > bytes_.size() - header_.e_shoff) {
    return {};
  }
  std::uint64_t result = 1;
  if (const auto segment = tls()) result = std::max<std::uint64_t>(result, segment->p_align);
  bool any = false;
  for (const Elf64_Shdr s : Table<Elf64_Shdr>(bytes_.subspan(header_.e_shoff, size))) {
    if ((s.sh_flags & SHF_ALLOC) == 0) continue;
    any = true;
    const std::uint64_t alignment = std::max<std::uint64_t>(s.sh_addralign, 1);
    const bool is_zero_tls = s.sh_type == SHT_NOBITS && (s.sh_flags & SHF_TLS) != 0;
    if (!std::has_single_bit(alignment) || s.sh_addr % alignment != 0 ||
        (!is_zero_tls && !is_loaded({s.sh_addr, s.sh_size}))) {
      return {};
    }
    result = std::max(result, alignment);
  }
  return any ? std::optional(result) : std::nullopt;
}

}  // namespace prewarm::image
