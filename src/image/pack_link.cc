// SPDX-License-Identifier: MIT
#include "image/pack_link.h"

#include <elf.h>
#include <errno.h>

#include <array>
#include <optional>
#include <utility>

namespace prewarm::image {
namespace {

using os::Result;

constexpr std::uint64_t word_type(const Elf64_Rela& relocation) {
  return ELF64_R_TYPE(relocation.r_info);
}

// elf_machine_type_class: for these an undefined symbol of the program isn't an answer.
constexpr bool is_for_call(std::uint64_t type) {
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_DTPMOD64 || type == R_X86_64_DTPOFF64 ||
         type == R_X86_64_TPOFF64;
}

// dl_symbol_visibility_binds_local_p
constexpr bool binds_locally(const Elf64_Sym& symbol) {
  const auto visibility = ELF64_ST_VISIBILITY(symbol.st_other);
  return visibility == STV_HIDDEN || visibility == STV_INTERNAL;
}

constexpr bool can_be_definition(const Elf64_Sym& symbol) {
  return (symbol.st_value != 0 || symbol.st_shndx == SHN_ABS ||
          ELF64_ST_TYPE(symbol.st_info) == STT_TLS) &&
         ELF64_ST_BIND(symbol.st_info) != STB_LOCAL;
}

std::unexpected<Error> cannot(const char* what, std::string_view name) {
  return os::failed_with(0, what, std::string(name));
}

}  // namespace

Linker::Linker(std::vector<LinkObject> objects, std::vector<std::uint32_t> scope, Call call)
    : objects_(std::move(objects)), scope_(std::move(scope)), call_(std::move(call)) {
  index_definitions();
}

void Linker::index_definitions() {
  std::size_t most = 0;
  for (const auto object : scope_) {
    if (objects_[object].file) most += objects_[object].file->elf.symbol_count();
  }
  entries_.reserve(most);
  chains_.reserve(most);
  for (std::uint32_t place = 0; place < scope_.size(); ++place) {
    const auto& object = objects_[scope_[place]];
    if (!object.file) continue;
    const auto& elf = object.file->elf;
    for (std::uint32_t i = 1; i < elf.symbol_count(); ++i) {
      const auto raw = elf.raw_symbol(i);
      if (!can_be_definition(raw)) continue;
      const auto name = elf.string(raw.st_name);
      if (!name) continue;
      auto& chain = chains_[gnu_hash(*name)];
      // Several versions of a symbol are one entry.
      if (chain.last != 0 && entries_[chain.last - 1].place == place) continue;
      entries_.push_back({place, 0});
      const auto entry = static_cast<std::uint32_t>(entries_.size());
      if (chain.last != 0) {
        entries_[chain.last - 1].next = entry;
      } else {
        chain.first = entry;
      }
      chain.last = entry;
    }
  }
}

std::optional<Linker::Definition> Linker::look_in(std::uint32_t object,
                                                  const Wanted& wanted) const {
  if (!objects_[object].file) return {};
  const auto& elf = objects_[object].file->elf;
  const auto found = elf.find(wanted);
  if (!found || binds_locally(elf.raw_symbol(*found))) return {};
  return Definition{object, *found};
}

std::optional<Linker::Definition> Linker::look_up(std::uint32_t from, const Wanted& wanted) {
  const auto& elf = objects_[from].file->elf;
  std::optional<Definition> found;
  if ((elf.flags() & DF_SYMBOLIC) != 0 || elf.tag(DT_SYMBOLIC)) found = look_in(from, wanted);
  if (!found) {
    const auto chain = chains_.find(wanted.hash);
    if (chain == chains_.end()) return {};
    for (auto at = chain->second.first; at != 0 && !found; at = entries_[at - 1].next) {
      found = look_in(scope_[entries_[at - 1].place], wanted);
    }
  }
  if (!found) return {};
  const auto& there = objects_[found->object].file->elf;
  if (ELF64_ST_BIND(there.raw_symbol(found->symbol).st_info) == STB_GNU_UNIQUE) {
    const auto [first, is_new] =
        unique_.emplace(there.symbol(found->symbol).value_or(Symbol{}).name, *found);
    if (is_new) unique_uses_.push_back({first->first, found->object, found->symbol});
    found = first->second;
  }
  return found;
}

void Linker::know_unique(std::uint32_t object, std::uint32_t symbol) {
  const auto& elf = objects_[object].file->elf;
  unique_.emplace(elf.symbol(symbol).value_or(Symbol{}).name, Definition{object, symbol});
}

Linker::Target Linker::resolve(std::uint32_t from, std::uint32_t symbol, bool for_call) {
  using enum Target::Kind;
  const auto& elf = objects_[from].file->elf;
  if (symbol == 0) return {found, {from, 0}};
  const auto [known, is_new] = known_.try_emplace(Key{symbol, for_call});
  if (!is_new) return known->second;
  auto& target = known->second;
  const auto raw = elf.raw_symbol(symbol);
  if (ELF64_ST_BIND(raw.st_info) == STB_LOCAL || binds_locally(raw)) {
    return target = {found, {from, symbol}};
  }
  const auto* version = elf.version_of(symbol);
  if (version != nullptr && version->hash == 0) version = nullptr;
  const auto name = elf.string(raw.st_name).value_or("");
  const auto definition = look_up(from, Wanted(name, version, for_call));
  if (!definition) {
    return target = {ELF64_ST_BIND(raw.st_info) == STB_WEAK ? undefined_weak : undefined, {}};
  }
  target = {found, *definition};
  // A protected symbol means the library's own, unless a program's PLT entry has to stand for it.
  if (ELF64_ST_VISIBILITY(raw.st_other) == STV_PROTECTED && definition->object != from) {
    if (for_call) {
      target.definition = {from, symbol};
    } else if (const auto again = look_up(from, Wanted(name, version, true));
               again && again->object != from) {
      target.definition = {from, symbol};
    }
  }
  return target;
}

Result<std::uint64_t> Linker::address_of(const Definition& definition) {
  const auto& object = objects_[definition.object];
  const auto symbol = object.file->elf.raw_symbol(definition.symbol);
  const auto address = symbol.st_value + (symbol.st_shndx == SHN_ABS ? 0 : object.base);
  if (ELF64_ST_TYPE(symbol.st_info) != STT_GNU_IFUNC || symbol.st_shndx == SHN_UNDEF) {
    return address;
  }
  const auto known = resolved_.find(address);
  if (known != resolved_.end()) return known->second;
  const auto resolved = call_(address);
  if (resolved) resolved_.emplace(address, *resolved);
  return resolved;
}

Result<LinkedWord> Linker::relocate_tls(std::uint32_t object, const Elf64_Rela& relocation,
                                        const Target& target) {
  LinkedWord word;
  word.address = objects_[object].base + relocation.r_offset;
  word.type = static_cast<std::uint32_t>(word_type(relocation));
  const auto& there = objects_[target.definition.object];
  const auto symbol = there.file->elf.raw_symbol(target.definition.symbol);
  const auto value = symbol.st_value + static_cast<std::uint64_t>(relocation.r_addend);
  if (there.tls_module == 0) return cannot("thread-local symbol of a library without", "");
  switch (word.type) {
    case R_X86_64_DTPMOD64:
      word.value = there.tls_module;
      break;
    case R_X86_64_DTPOFF64:
      word.value = value;
      break;
    default:
      word.value = value - there.tls_offset;
  }
  return word;
}

Result<LinkedWord> Linker::relocate(std::uint32_t object, const Elf64_Rela& relocation,
                                    bool is_lazy) {
  const auto base = objects_[object].base;
  const auto& elf = objects_[object].file->elf;
  const auto type = static_cast<std::uint32_t>(word_type(relocation));
  const auto addend = static_cast<std::uint64_t>(relocation.r_addend);
  LinkedWord word{base + relocation.r_offset, 0, type, true, false};
  if (type == R_X86_64_RELATIVE) {
    word.value = base + addend;
    return word;
  }
  const auto index = static_cast<std::uint32_t>(ELF64_R_SYM(relocation.r_info));
  const auto target = resolve(object, index, is_for_call(type));
  const auto name = elf.string(elf.raw_symbol(index).st_name).value_or("");
  const bool is_undefined =
      target.kind == Target::Kind::undefined || target.kind == Target::Kind::undefined_weak;
  if (type == R_X86_64_JUMP_SLOT && is_undefined && is_lazy) {
    // Somebody may define it before it is called, or never call it.
    const auto slot = elf.bytes_at(relocation.r_offset, 8);
    if (slot.size() != 8) return cannot("a PLT slot is in no segment", name);
    std::memcpy(&word.value, slot.data(), 8);
    word.value += base;
    word.left_lazy = true;
    return word;
  }
  if (target.kind == Target::Kind::undefined) return cannot("symbol is undefined:", name);
  switch (type) {
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
      if (is_undefined) return cannot("thread-local symbol is undefined:", name);
      return relocate_tls(object, relocation, target);
    case R_X86_64_SIZE64:
      if (is_undefined) return cannot("symbol with a size is undefined:", name);
      word.value = objects_[target.definition.object]
                       .file->elf.raw_symbol(target.definition.symbol)
                       .st_size +
                   addend;
      word.is_address = false;
      return word;
    case R_X86_64_64:
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT: {
      std::uint64_t address = 0;
      if (!is_undefined) {
        const auto found = address_of(target.definition);
        if (!found) return std::unexpected(found.error());
        address = *found;
      }
      word.value = address + (type == R_X86_64_64 ? addend : 0);
      return word;
    }
    default:
      return cannot("relocation of an unknown type:", std::to_string(type));
  }
}

Result<std::vector<LinkedWord>> Linker::link(std::uint32_t object) {
  const auto& elf = objects_[object].file->elf;
  const auto base = objects_[object].base;
  known_.clear();
  std::vector<LinkedWord> words;
  words.reserve(elf.relocations().size() + elf.plt_relocations().size());
  Diagnostics diagnostics;
  const auto relative = elf.relative_words(diagnostics);
  if (!relative) return cannot("relative relocations are wrong:", diagnostics.first());
  for (const auto address : *relative) {
    const auto there = elf.bytes_at(address, 8);
    if (there.size() != 8) return cannot("a relative word is in no segment", "");
    std::uint64_t value = 0;
    std::memcpy(&value, there.data(), sizeof value);
    words.push_back({base + address, base + value, R_X86_64_RELATIVE, true, false});
  }
  const bool is_now = (elf.flags() & DF_BIND_NOW) != 0 || (elf.flags_1() & DF_1_NOW) != 0 ||
                      elf.tag(DT_BIND_NOW).has_value();
  for (const bool plt : {false, true}) {
    for (const auto& relocation : plt ? elf.plt_relocations() : elf.relocations()) {
      if (word_type(relocation) == R_X86_64_NONE) continue;
      const auto word = relocate(object, relocation, plt && !is_now);
      if (!word) return std::unexpected(word.error());
      words.push_back(*word);
    }
  }
  return words;
}

}  // namespace prewarm::image
