// SPDX-License-Identifier: MIT
//
// What a library consists of, for placing it.
#include <elf.h>

#include <algorithm>
#include <vector>

#include "image/pack_plan.h"

namespace prewarm::image {
namespace {

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

// Of the tables in the library's memory that its dynamic section names.
class TableRanges {
 public:
  explicit TableRanges(const ElfFile& elf) : elf_(elf) {
    add(DT_STRTAB, elf.strings().size());
    add(DT_SYMTAB, std::uint64_t{elf.symbol_count()} * sizeof(Elf64_Sym));
    add(DT_RELA, elf.tag(DT_RELASZ).value_or(0));
    add(DT_JMPREL, elf.tag(DT_PLTRELSZ).value_or(0));
    add(DT_RELR, elf.tag(DT_RELRSZ).value_or(0));
    add(DT_VERSYM, std::uint64_t{elf.symbol_count()} * sizeof(Elf64_Half));
    add_gnu_hash();
    add_old_hash();
    add_needs();
    add_definitions();
    std::ranges::sort(ranges_, {}, &AddressRange::address);
  }

  // By address.
  const std::vector<AddressRange>& ranges() const { return ranges_; }

 private:
  template <class T>
  T at(std::uint64_t address) const {
    return Table<T>(elf_.bytes_at(address, sizeof(T)))[0];
  }

  void add(std::int64_t tag, std::uint64_t size) {
    const auto address = elf_.tag(tag);
    if (address && size != 0) ranges_.push_back({*address, size});
  }

  void add_gnu_hash() {
    const auto address = elf_.tag(DT_GNU_HASH);
    if (!address) return;
    struct Header {
      std::uint32_t buckets, first_symbol, filter_words, shift;
    };
    const auto header = at<Header>(*address);
    const std::uint64_t symbols = elf_.symbol_count();
    const auto chains = symbols > header.first_symbol ? symbols - header.first_symbol : 0;
    ranges_.push_back({*address, sizeof header + 8ULL * header.filter_words +
                                     4ULL * header.buckets + 4ULL * chains});
  }

  void add_old_hash() {
    const auto address = elf_.tag(DT_HASH);
    if (!address) return;
    const std::uint64_t buckets = at<std::uint32_t>(*address);
    const std::uint64_t chains = at<std::uint32_t>(*address + 4);
    ranges_.push_back({*address, 4 * (2 + buckets + chains)});
  }

  // Needs and definitions are linked lists: from the first byte to the last of any entry.
  template <class Outer, class Inner>
  void add_list(std::int64_t tag, std::int64_t count_tag, auto&& next, auto&& inner_count,
                auto&& first, auto&& inner_next) {
    const auto begin = elf_.tag(tag);
    if (!begin) return;
    auto end = *begin;
    auto address = *begin;
    // More than can be told apart by 15 bits aren't used; a file may claim so.
    constexpr std::uint64_t kMost = 1 << 15;
    for (auto left = std::min(elf_.tag(count_tag).value_or(0), kMost); left != 0; --left) {
      const auto outer = at<Outer>(address);
      end = std::max<std::uint64_t>(end, address + sizeof outer);
      auto inner_address = address + first(outer);
      for (auto entries = inner_count(outer); entries != 0; --entries) {
        const auto inner = at<Inner>(inner_address);
        end = std::max<std::uint64_t>(end, inner_address + sizeof inner);
        if (inner_next(inner) == 0) break;
        inner_address += inner_next(inner);
      }
      if (next(outer) == 0) break;
      address += next(outer);
    }
    ranges_.push_back({*begin, end - *begin});
  }

  void add_needs() {
    add_list<Elf64_Verneed, Elf64_Vernaux>(
        DT_VERNEED, DT_VERNEEDNUM, [](const auto& o) { return o.vn_next; },
        [](const auto& o) { return o.vn_cnt; }, [](const auto& o) { return o.vn_aux; },
        [](const auto& i) { return i.vna_next; });
  }

  void add_definitions() {
    add_list<Elf64_Verdef, Elf64_Verdaux>(
        DT_VERDEF, DT_VERDEFNUM, [](const auto& o) { return o.vd_next; },
        [](const auto& o) { return o.vd_cnt; }, [](const auto& o) { return o.vd_aux; },
        [](const auto& i) { return i.vda_next; });
  }

  const ElfFile& elf_;
  std::vector<AddressRange> ranges_;
};

// The tables as one range, if there is nothing else between them.
MovableTables one_range(const ElfFile& elf) {
  const TableRanges tables(elf);
  MovableTables all;
  for (const auto& range : tables.ranges()) {
    if (!all.any()) {
      all = {range.address, range.address + range.size};
      continue;
    }
    // What linkers leave for alignment.
    constexpr std::uint64_t kPadding = 16;
    if (range.address > all.end) {
      if (range.address - all.end > kPadding) return {};
      const auto between = elf.bytes_at(all.end, range.address - all.end);
      if (!std::ranges::all_of(between, [](auto byte) { return byte == std::byte{0}; })) return {};
    }
    all.end = std::max(all.end, range.address + range.size);
  }
  return all;
}

// Whether code might refer to these addresses: any four bytes might be a distance, from behind them
// or behind an immediate operand that follows.
bool is_mentioned_by_code(const ElfFile& elf, const MovableTables& tables) {
  constexpr std::uint64_t kLongestImmediate = 8;
  for (const auto& segment : elf.loads()) {
    if ((segment.p_flags & PF_X) == 0) continue;
    const auto code = elf.bytes_at(segment.p_vaddr, segment.p_filesz);
    const auto length = tables.end - tables.begin + kLongestImmediate;
    for (std::size_t i = 0; i + 4 <= code.size(); ++i) {
      std::int32_t distance = 0;
      std::memcpy(&distance, code.data() + i, sizeof distance);
      const auto target =
          segment.p_vaddr + i + 4 + static_cast<std::uint64_t>(std::int64_t{distance});
      if (target + kLongestImmediate - tables.begin < length) return true;
    }
  }
  return false;
}

bool is_mentioned_by_data(const ElfFile& elf, const MovableTables& tables) {
  const auto inside = [&](std::uint64_t address) {
    return address >= tables.begin && address < tables.end;
  };
  for (const auto& table : {elf.relocations(), elf.plt_relocations()}) {
    for (const auto& relocation : table) {
      if (ELF64_R_SYM(relocation.r_info) == 0 &&
          inside(static_cast<std::uint64_t>(relocation.r_addend))) {
        return true;
      }
    }
  }
  Diagnostics diagnostics;
  if (const auto relative = elf.relative_words(diagnostics)) {
    for (const auto address : *relative) {
      if (inside(Table<std::uint64_t>(elf.bytes_at(address, 8))[0])) return true;
    }
  }
  for (std::uint32_t i = 1; i < elf.symbol_count(); ++i) {
    const auto symbol = elf.raw_symbol(i);
    if (symbol.st_shndx != SHN_UNDEF && symbol.st_shndx != SHN_ABS &&
        ELF64_ST_TYPE(symbol.st_info) != STT_TLS && inside(symbol.st_value)) {
      return true;
    }
  }
  return false;
}

void add_part(std::vector<PlacePart>& parts, std::uint64_t begin, std::uint64_t end, Use use) {
  if (begin < end) parts.push_back({begin, end, use});
}

}  // namespace

MovableTables movable_tables(const ElfFile& elf) {
  // Where the rest is large it doesn't matter, and chance would have code mention it.
  constexpr std::uint64_t kLargestTables = 64 << 10;
  constexpr std::uint64_t kPadding = 16;
  const auto tables = one_range(elf);
  if (!tables.any() || tables.end - tables.begin > kLargestTables) return {};
  const auto& first = elf.loads().front();
  // They are the end of the first segment: what is left of it is still a segment.
  const auto end = first.p_vaddr + first.p_filesz;
  if ((first.p_flags & (PF_X | PF_W)) != 0 || first.p_memsz != first.p_filesz ||
      tables.begin <= first.p_vaddr || tables.end > end || end - tables.end >= kPadding) {
    return {};
  }
  for (const auto& segment : elf.program_headers()) {
    if (segment.p_type == PT_LOAD || segment.p_memsz == 0) continue;
    if (segment.p_vaddr < end && segment.p_vaddr + segment.p_memsz > tables.begin) return {};
  }
  if (elf.header().e_phoff + elf.program_headers().size() * sizeof(Elf64_Phdr) > tables.begin) {
    return {};
  }
  if (is_mentioned_by_code(elf, tables) || is_mentioned_by_data(elf, tables)) return {};
  return tables;
}

PlaceItem place_item(const ElfFile& elf, const MovableTables& tables) {
  PlaceItem item;
  constexpr std::uint64_t kPage = 4096;
  item.alignment = std::max(kPlaceUnit, elf.largest_section_alignment().value_or(kPage));
  std::uint64_t bytes = 0;
  for (const auto& segment : elf.loads()) bytes += segment.p_memsz;
  const bool is_small = bytes <= kSmallItem;
  const auto constants = is_small ? Use::code : Use::read;
  const auto relro = elf.relro();
  for (const auto& segment : elf.loads()) {
    auto begin = segment.p_vaddr;
    auto end = begin + segment.p_memsz;
    if ((segment.p_flags & PF_W) != 0) {
      // Pages that are read-only once linked; small libraries share theirs with variables.
      if (!is_small && relro && relro->p_vaddr == begin) {
        const auto constant_end = std::min(end, (begin + relro->p_memsz) / kPage * kPage);
        add_part(item.parts, begin, constant_end, Use::read);
        begin = std::max(begin, constant_end);
      }
      add_part(item.parts, begin, end, Use::data);
    } else if ((segment.p_flags & PF_X) != 0) {
      add_part(item.parts, begin, end, Use::code);
    } else {
      if (tables.any() && begin == 0) end = tables.begin;
      add_part(item.parts, begin, end, constants);
    }
  }
  // Of large ones each segment has its own pages only if the base is a page.
  if (!is_small) item.alignment = std::max(item.alignment, kPage);
  // Pages of different use keep apart in the file's own layout, or the library couldn't be mapped.
  item.alignment = round_up(item.alignment, kPlaceUnit);
  return item;
}

}  // namespace prewarm::image
