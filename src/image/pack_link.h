// SPDX-License-Identifier: MIT
//
// Links libraries that ld.so has mapped and knows, but was kept from relocating: with the results
// that it would have had, word for word. What it does that takes time is to look for each symbol in
// one library after the other; here one table has the definitions of all.
//
// The rules are those of glibc 2.36 (elf/dl-lookup.c, sysdeps/x86_64/dl-machine.h): the global
// scope in its order, the first definition wins, weak ones count like others; a library with
// DF_SYMBOLIC looks into itself first; versions as check_match has them (ElfFile::find).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "image/library_file.h"
#include "os/result.h"

namespace prewarm::image {

// An object of the process, as far as linking is concerned.
struct LinkObject {
  std::shared_ptr<const LibraryFile> file;  // null: has no symbols for others (the vDSO)
  std::uint64_t base = 0;
  std::uint64_t tls_module = 0;  // l_tls_modid
  std::uint64_t tls_offset = 0;  // l_tls_offset
};

// A word to be written.
struct LinkedWord {
  std::uint64_t address = 0;
  std::uint64_t value = 0;
  std::uint32_t type = 0;   // R_X86_64_*
  bool is_address = false;  // `value` is an address (or 0), not a number
  bool left_lazy = false;   // a JUMP_SLOT that leads to its PLT entry: ld.so binds it if called
};

// A GNU_UNIQUE symbol that was referred to: from now on all mean this one.
struct UniqueUse {
  std::string_view name;  // in the file of `object`
  std::uint32_t object = 0;
  std::uint32_t symbol = 0;
};

class Linker {
 public:
  using Call = std::function<os::Result<std::uint64_t>(std::uint64_t function)>;

  // `scope`: indices into `objects`, in the order of the global scope. `call` calls an IFUNC's
  // resolver in the process.
  Linker(std::vector<LinkObject> objects, std::vector<std::uint32_t> scope, Call call);

  // The process knows this symbol as unique already. Before the first `link`.
  void know_unique(std::uint32_t object, std::uint32_t symbol);

  // The words of the object's relocations, in their order. An error says what can't be linked.
  os::Result<std::vector<LinkedWord>> link(std::uint32_t object);

  // In the order in which they were met first.
  const std::vector<UniqueUse>& unique_uses() const { return unique_uses_; }
  const std::vector<LinkObject>& objects() const { return objects_; }

 private:
  struct Entry {
    std::uint32_t place = 0;  // in the scope
    std::uint32_t next = 0;   // index of the next one + 1
  };
  struct Chain {
    std::uint32_t first = 0, last = 0;  // indices of entries + 1
  };
  struct Definition {
    std::uint32_t object = 0;
    std::uint32_t symbol = 0;
  };
  // What a relocation refers to.
  struct Target {
    enum class Kind { none, found, undefined_weak, undefined } kind = Kind::none;
    Definition definition;
  };
  struct Key {
    std::uint32_t symbol;
    bool for_call;
    auto operator<=>(const Key&) const = default;
  };

  void index_definitions();
  std::optional<Definition> look_up(std::uint32_t from, const Wanted& wanted);
  std::optional<Definition> look_in(std::uint32_t object, const Wanted& wanted) const;
  Target resolve(std::uint32_t from, std::uint32_t symbol, bool for_call);
  void note_unique(const Definition& definition);
  os::Result<std::uint64_t> address_of(const Definition& definition);
  os::Result<LinkedWord> relocate(std::uint32_t object, const Elf64_Rela& relocation, bool is_lazy);
  os::Result<LinkedWord> relocate_tls(std::uint32_t object, const Elf64_Rela& relocation,
                                      const Target& target);

  std::vector<LinkObject> objects_;
  std::vector<std::uint32_t> scope_;
  Call call_;
  std::unordered_map<std::uint32_t, Chain> chains_;  // by GNU hash
  std::vector<Entry> entries_;
  std::unordered_map<std::uint64_t, std::uint64_t> resolved_;  // by the resolver's address
  std::vector<UniqueUse> unique_uses_;
  std::unordered_map<std::string_view, Definition> unique_;
  // Of the object under way.
  std::map<Key, Target> known_;
};

}  // namespace prewarm::image
