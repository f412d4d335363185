// SPDX-License-Identifier: MIT
#include "image/pack_unique.h"

#include <elf.h>

#include <algorithm>

#include "image/pack_move.h"

namespace prewarm::image {
namespace {

bool is_prime(std::uint64_t number) {
  for (std::uint64_t i = 2; i * i <= number; ++i) {
    if (number % i == 0) return false;
  }
  return true;
}

std::vector<UniqueEntry> present_entries(const LoaderView& loader, CaptureMemory& memory) {
  std::vector<UniqueEntry> entries;
  const auto at = memory.word(loader.unique_words());
  const auto size = memory.word(loader.unique_words() + 8);
  for (std::uint64_t i = 0; at != 0 && i < size; ++i) {
    auto entry = memory.get<UniqueEntry>(at + i * sizeof(UniqueEntry)).value_or(UniqueEntry{});
    entry.hash &= 0xffff'ffff;
    if (entry.name != 0) entries.push_back(entry);
  }
  return entries;
}

}  // namespace

void know_unique_symbols(const Capture& capture, const LoaderView& loader, CaptureMemory& memory,
                         Linker& linker) {
  for (const auto& entry : present_entries(loader, memory)) {
    const auto object =
        std::ranges::find(capture.objects, entry.link_map, &CapturedObject::link_map);
    if (object == capture.objects.end()) continue;
    const auto index = static_cast<std::uint32_t>(object - capture.objects.begin());
    const auto& file = linker.objects()[index].file;
    if (!file) continue;
    const auto symbols = object->base + file->elf.tag(DT_SYMTAB).value_or(0);
    linker.know_unique(index,
                       static_cast<std::uint32_t>((entry.symbol - symbols) / sizeof(Elf64_Sym)));
  }
}

UniqueTable::UniqueTable(const Capture& capture, const LoaderView& loader, CaptureMemory& memory,
                         const std::vector<LinkObject>& objects, const std::vector<UniqueUse>& more,
                         const Moves& moves) {
  if (more.empty()) return;
  const auto present = present_entries(loader, memory);
  auto size = 2 * (present.size() + more.size()) + 31;
  while (!is_prime(size)) ++size;
  entries_.resize(size);
  for (const auto& entry : present) enter(entry);
  for (const auto& use : more) {
    const auto& object = objects[use.object];
    const auto& elf = object.file->elf;
    const auto strings = object.base + elf.tag(DT_STRTAB).value_or(0);
    const auto symbols = object.base + elf.tag(DT_SYMTAB).value_or(0);
    enter({gnu_hash(use.name), moves(strings + elf.raw_symbol(use.symbol).st_name),
           moves(symbols + use.symbol * sizeof(Elf64_Sym)), capture.objects[use.object].link_map});
  }
}

void UniqueTable::enter(const UniqueEntry& entry) {
  const auto size = entries_.size();
  auto at = entry.hash % size;
  while (entries_[at].name != 0) at = (at + 1 + entry.hash % (size - 2)) % size;
  entries_[at] = entry;
  ++count_;
}

}  // namespace prewarm::image
