// SPDX-License-Identifier: MIT
//
// Symbols: their number, their versions, and the search by name.
#include <algorithm>
#include <bit>

#include "image/elf_file.h"

namespace prewarm::image {
namespace {

constexpr std::uint16_t kHidden = 0x8000;
constexpr std::uint16_t kIndexMask = 0x7fff;
// Indices have 15 bits, so no more make sense. It bounds what lists that share entries can cost.
constexpr std::size_t kMostVersions = 0x8000;

// The head of a DT_GNU_HASH table. Behind it come the words of a filter, the buckets (each the
// number of its first symbol, 0 if it has none), and for each symbol from the first on its hash,
// whose lowest bit says that it is the last of its bucket.
struct GnuHashHead {
  std::uint32_t bucket_count;
  std::uint32_t first_symbol;
  std::uint32_t filter_words;
  std::uint32_t filter_shift;
};

struct OldHashHead {
  std::uint32_t bucket_count;
  std::uint32_t chain_count;
};

template <class T>
bool take(Bytes& from, T& value) {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from = from.subspan(sizeof value);
  return true;
}

template <class T>
bool take(Bytes& from, std::uint64_t count, Table<T>& table) {
  const std::uint64_t size = count * sizeof(T);  // counts have 32 bits
  if (from.size() < size) return false;
  table = Table<T>(from.first(size));
  from = from.subspan(size);
  return true;
}

// Whether ld.so takes notice of symbols of this type.
bool is_looked_up(unsigned type) {
  switch (type) {
    case STT_NOTYPE:
    case STT_OBJECT:
    case STT_FUNC:
    case STT_COMMON:
    case STT_TLS:
    case STT_GNU_IFUNC:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::uint32_t gnu_hash(std::string_view name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

std::uint32_t elf_hash(std::string_view name) {
  std::uint32_t hash = 0;
  for (const char c : name) {
    hash = (hash << 4) + static_cast<unsigned char>(c);
    hash ^= hash >> 24 & 0xf0;
    hash &= 0x0fffffff;
  }
  return hash;
}

// ---- How many there are ------------------------------------------------------------------------

bool ElfFile::read_symbols(Diagnostics& diagnostics) {
  const auto gnu = tag(DT_GNU_HASH);
  const auto old = tag(DT_HASH);
  if (gnu && !read_gnu_hash(*gnu, diagnostics)) return false;
  if (old && !read_old_hash(*old, diagnostics)) return false;
  const auto address = tag(DT_SYMTAB);
  if (!address) {
    return symbol_count_ == 0 || diagnostics.report("hashes without symbols");
  }
  if (tag(DT_SYMENT).value_or(sizeof(Elf64_Sym)) != sizeof(Elf64_Sym)) {
    return diagnostics.report("symbols of another size", *address);
  }
  if (gnu_hash_.chains.empty() && old_hash_.chains.empty()) {
    for (const auto& table : {rela_, plt_rela_}) {
      for (const Elf64_Rela r : table) {
        const auto index = static_cast<std::uint32_t>(ELF64_R_SYM(r.r_info));
        if (index >= symbol_count_ && index < UINT32_MAX) symbol_count_ = index + 1;
      }
    }
  }
  const std::uint64_t size = std::uint64_t{symbol_count_} * sizeof(Elf64_Sym);
  symbols_ = Table<Elf64_Sym>(bytes_at(*address, size));
  if (symbols_.size() == symbol_count_) return true;
  symbol_count_ = 0;
  return diagnostics.report("symbols outside the file", *address);
}

bool ElfFile::read_gnu_hash(std::uint64_t address, Diagnostics& diagnostics) {
  Bytes rest = bytes_from(address);
  GnuHashHead head;
  GnuHash hash;
  if (!take(rest, head) || !std::has_single_bit(head.filter_words) || head.filter_shift >= 32 ||
      !take(rest, head.filter_words, hash.filter) || !take(rest, head.bucket_count, hash.buckets)) {
    return diagnostics.report("a table of GNU hashes outside the file", address);
  }
  has_gnu_hash_ = true;
  hash.first_symbol = head.first_symbol;
  hash.shift = head.filter_shift;
  std::uint32_t last = 0;  // first symbol of the last bucket, and then the last symbol
  bool below = false;
  for (const std::uint32_t first : hash.buckets) {
    below = below || (first != 0 && first < head.first_symbol);
    last = std::max(last, first);
  }
  if (below) return diagnostics.report("a bucket of symbols without hashes", address);
  if (last != 0) {
    const Table<std::uint32_t> chains(rest);
    std::size_t at = last - head.first_symbol;
    while (at < chains.size() && (chains[at] & 1) == 0) ++at;
    if (at >= chains.size() || at >= UINT32_MAX - head.first_symbol) {
      return diagnostics.report("a bucket of symbols without an end", address);
    }
    hash.chains = chains.first(at + 1);
    symbol_count_ = head.first_symbol + static_cast<std::uint32_t>(at) + 1;
  }
  gnu_hash_ = hash;
  return true;
}

bool ElfFile::read_old_hash(std::uint64_t address, Diagnostics& diagnostics) {
  Bytes rest = bytes_from(address);
  OldHashHead head;
  OldHash hash;
  if (!take(rest, head) || !take(rest, head.bucket_count, hash.buckets) ||
      !take(rest, head.chain_count, hash.chains) || head.chain_count < symbol_count_) {
    return diagnostics.report("a table of hashes outside the file", address);
  }
  old_hash_ = hash;
  symbol_count_ = head.chain_count;
  return true;
}

std::optional<Symbol> ElfFile::symbol(std::uint64_t index) const {
  if (index >= symbols_.size()) return {};
  const Elf64_Sym s = symbols_[index];
  const auto name = string(s.st_name);
  if (!name) return {};
  Symbol result;
  result.name = *name;
  result.value = s.st_value;
  result.size = s.st_size;
  result.section = s.st_shndx;
  result.type = ELF64_ST_TYPE(s.st_info);
  result.binding = ELF64_ST_BIND(s.st_info);
  result.visibility = ELF64_ST_VISIBILITY(s.st_other);
  return result;
}

// ---- Versions ----------------------------------------------------------------------------------

bool ElfFile::read_versions(Diagnostics& diagnostics) {
  const auto needs = tag(DT_VERNEED);
  const auto definitions = tag(DT_VERDEF);
  if (needs && !read_needs(*needs, diagnostics)) return false;
  if (definitions && !read_definitions(*definitions, diagnostics)) return false;
  std::uint16_t highest = definitions ? 1 : 0;  // its own is not kept
  for (const auto* list : {&needs_, &definitions_}) {
    for (const Version& v : *list) highest = std::max(highest, v.index);
  }
  const auto address = tag(DT_VERSYM);
  if (!address || highest == 0) return true;
  index_versions(highest);
  const Table<std::uint16_t> versyms(
      bytes_at(*address, std::uint64_t{symbol_count_} * sizeof(std::uint16_t)));
  if (versyms.size() != symbol_count_) {
    return diagnostics.report("versions of symbols outside the file", *address);
  }
  std::uint16_t used = 0;
  for (const std::uint16_t v : versyms) used = std::max<std::uint16_t>(used, v & kIndexMask);
  if (used > std::max<std::uint16_t>(highest, VER_NDX_GLOBAL)) {
    return diagnostics.report("a symbol of a version that isn't there", used);
  }
  versyms_ = versyms;
  return true;
}

bool ElfFile::read_needs(std::uint64_t address, Diagnostics& diagnostics) {
  Bytes rest = bytes_from(address);
  for (;;) {
    Elf64_Verneed need;
    if (rest.size() < sizeof need) break;
    std::memcpy(&need, rest.data(), sizeof need);
    const auto file = string(need.vn_file);
    if (need.vn_version != VER_NEED_CURRENT || !file || need.vn_aux > rest.size()) break;
    Bytes entries = rest.subspan(need.vn_aux);
    for (;;) {
      Elf64_Vernaux entry;
      if (needs_.size() >= kMostVersions || entries.size() < sizeof entry) {
        return diagnostics.report("a needed version outside the file", address);
      }
      std::memcpy(&entry, entries.data(), sizeof entry);
      const auto name = string(entry.vna_name);
      if (!name || entry.vna_next > entries.size()) {
        return diagnostics.report("a needed version outside the file", address);
      }
      needs_.push_back({*name, *file, entry.vna_hash,
                        static_cast<std::uint16_t>(entry.vna_other & kIndexMask),
                        (entry.vna_other & kHidden) != 0, (entry.vna_flags & VER_FLG_WEAK) != 0});
      if (entry.vna_next == 0) break;
      entries = entries.subspan(entry.vna_next);
    }
    if (need.vn_next == 0) return true;
    if (need.vn_next > rest.size()) break;
    rest = rest.subspan(need.vn_next);
  }
  return diagnostics.report("needed versions outside the file", address);
}

bool ElfFile::read_definitions(std::uint64_t address, Diagnostics& diagnostics) {
  Bytes rest = bytes_from(address);
  for (std::size_t count = 0; count < kMostVersions; ++count) {
    Elf64_Verdef definition;
    Elf64_Verdaux entry;
    if (rest.size() < sizeof definition) break;
    std::memcpy(&definition, rest.data(), sizeof definition);
    if (definition.vd_version != VER_DEF_CURRENT || definition.vd_aux > rest.size()) break;
    // The first entry is the name, the others are whom it inherits from: of no use to ld.so.
    const Bytes entries = rest.subspan(definition.vd_aux);
    if (entries.size() < sizeof entry) break;
    std::memcpy(&entry, entries.data(), sizeof entry);
    const auto name = string(entry.vda_name);
    if (!name) break;
    if ((definition.vd_flags & VER_FLG_BASE) == 0) {
      definitions_.push_back({*name,
                              {},
                              definition.vd_hash,
                              static_cast<std::uint16_t>(definition.vd_ndx & kIndexMask),
                              false,
                              (definition.vd_flags & VER_FLG_WEAK) != 0});
    }
    if (definition.vd_next == 0) return true;
    if (definition.vd_next > rest.size()) break;
    rest = rest.subspan(definition.vd_next);
  }
  return diagnostics.report("definitions of versions outside the file", address);
}

void ElfFile::index_versions(std::uint16_t highest) {
  versions_.resize(std::size_t{highest} + 1);
  for (const auto* list : {&needs_, &definitions_}) {
    for (const Version& v : *list) versions_[v.index] = v;
  }
}

std::uint16_t ElfFile::versym(std::uint64_t index) const {
  return index < versyms_.size() ? versyms_[index] : std::uint16_t{VER_NDX_GLOBAL};
}

const Version* ElfFile::version_of(std::uint64_t index) const {
  const std::size_t version = versym(index) & kIndexMask;
  if (version >= versions_.size() || versions_[version].hash == 0) return nullptr;
  return &versions_[version];
}

// ---- The search --------------------------------------------------------------------------------

bool ElfFile::has_name(const Elf64_Sym& symbol, std::string_view name) const {
  if (symbol.st_name >= strings_.size()) return false;
  const std::string_view rest = strings_.substr(symbol.st_name);
  return rest.size() > name.size() && rest[name.size()] == '\0' &&
         std::memcmp(rest.data(), name.data(), name.size()) == 0;
}

bool ElfFile::is_match(std::uint32_t index, const Wanted& wanted, Match& match) const {
  const Elf64_Sym s = symbols_[index];
  const unsigned type = ELF64_ST_TYPE(s.st_info);
  if (s.st_value == 0 && s.st_shndx != SHN_ABS && type != STT_TLS) return false;
  if (wanted.for_call && s.st_shndx == SHN_UNDEF) return false;
  if (!is_looked_up(type) || !has_name(s, wanted.name)) return false;
  if (versyms_.empty()) return true;
  const std::uint16_t versym = versyms_[index];
  const std::uint16_t number = versym & kIndexMask;
  if (wanted.version != nullptr) {
    const Version& has = versions_[number];
    if (has.hash == wanted.version->hash && has.name == wanted.version->name) return true;
    // A definition without a version serves everybody who doesn't insist.
    return !wanted.version->hidden && has.hash == 0 && (versym & kHidden) == 0;
  }
  if (number <= 2) return true;  // none, or the oldest version
  if ((versym & kHidden) == 0 && match.versioned++ == 0) match.first_versioned = index;
  return false;
}

std::optional<std::uint32_t> ElfFile::find_by_gnu_hash(const Wanted& wanted, Match& match) const {
  const GnuHash& g = gnu_hash_;
  const std::uint32_t hash = wanted.hash;
  const std::uint64_t word = g.filter[hash / 64 & (g.filter.size() - 1)];
  if ((word >> (hash & 63) & word >> (hash >> g.shift & 63) & 1) == 0) return {};
  const std::uint32_t first = g.buckets[hash % g.buckets.size()];
  if (first == 0) return {};
  for (std::uint32_t at = first - g.first_symbol; at < g.chains.size(); ++at) {
    const std::uint32_t other = g.chains[at];
    if ((other ^ hash) >> 1 == 0 && is_match(g.first_symbol + at, wanted, match)) {
      return g.first_symbol + at;
    }
    if ((other & 1) != 0) break;
  }
  return {};
}

std::optional<std::uint32_t> ElfFile::find_by_old_hash(const Wanted& wanted, Match& match) const {
  std::uint32_t at = old_hash_.buckets[elf_hash(wanted.name) % old_hash_.buckets.size()];
  // A chain may lead in a circle: no more steps than there are symbols.
  for (std::size_t steps = 0; at != 0 && at < old_hash_.chains.size(); ++steps) {
    if (steps == old_hash_.chains.size()) break;
    if (is_match(at, wanted, match)) return at;
    at = old_hash_.chains[at];
  }
  return {};
}

std::optional<std::uint32_t> ElfFile::find(const Wanted& wanted) const {
  Match match;
  std::optional<std::uint32_t> found;
  if (has_gnu_hash_) {
    if (!gnu_hash_.buckets.empty()) found = find_by_gnu_hash(wanted, match);
  } else if (!old_hash_.buckets.empty()) {
    found = find_by_old_hash(wanted, match);
  }
  if (!found && match.versioned == 1) found = match.first_versioned;
  if (!found) return {};
  switch (ELF64_ST_BIND(symbols_[*found].st_info)) {
    case STB_GLOBAL:
    case STB_WEAK:
    case STB_GNU_UNIQUE:
      return found;
    default:
      return {};  // ld.so goes on with the next file
  }
}

}  // namespace prewarm::image
