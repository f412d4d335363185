// SPDX-License-Identifier: MIT
//
// For tests only: what an object file defines, needs, and could be written to.
#pragma once

#include <elf.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "os/testing.h"

namespace prewarm::os {

using Names = std::set<std::string>;

// A relocatable object file.
class ObjectFile {
 public:
  explicit ObjectFile(const std::string& path) : bytes_(os::read_file(path)) {
    Elf64_Ehdr header{};
    if (bytes_.size() < sizeof header) return;
    std::memcpy(&header, bytes_.data(), sizeof header);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_type != ET_REL) return;
    sections_ = os::read_row<Elf64_Shdr>(bytes_, header.e_shoff, header.e_shnum);
    if (header.e_shstrndx < sections_.size()) {
      names_ = bytes_.data() + sections_[header.e_shstrndx].sh_offset;
    }
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type != SHT_SYMTAB) continue;
      strings_ = bytes_.data() + sections_.at(section.sh_link).sh_offset;
      symbols_ =
          os::read_row<Elf64_Sym>(bytes_, section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    }
  }

  bool valid() const { return symbols_.size() > 1 && names_ != nullptr; }

  Names symbols(bool defined) const {
    Names names;
    for (const Elf64_Sym& symbol : symbols_) {
      if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) continue;
      if ((symbol.st_shndx != SHN_UNDEF) == defined) names.insert(strings_ + symbol.st_name);
    }
    return names;
  }
  // Sections that are memory of the program, can be written and hold something.
  Names writable() const {
    Names names;
    for (const Elf64_Shdr& section : sections_) {
      constexpr auto kBoth = SHF_ALLOC | SHF_WRITE;
      const bool is_data = (section.sh_flags & kBoth) == kBoth && section.sh_size != 0;
      if (is_data) names.insert(names_ + section.sh_name);
    }
    return names;
  }

 private:
  std::string bytes_;
  std::vector<Elf64_Shdr> sections_;
  std::vector<Elf64_Sym> symbols_;
  const char* names_ = nullptr;
  const char* strings_ = nullptr;
};

}  // namespace prewarm::os
