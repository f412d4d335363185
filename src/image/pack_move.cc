// SPDX-License-Identifier: MIT
#include "image/pack_move.h"

#include <elf.h>
#include <errno.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "image/pack_place.h"
#include "image/pack_unique.h"

namespace prewarm::image {
namespace {

using os::Result;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) / to * to;
}

int protection_of(Use use) {
  switch (use) {
    case Use::read:
      return PROT_READ;
    case Use::code:
      return PROT_READ | PROT_EXEC;
    case Use::data:
      break;
  }
  return PROT_READ | PROT_WRITE;
}

// Tags whose addresses ld.so has made absolute in memory (elf_get_dynamic_info).
constexpr bool is_made_absolute(std::int64_t tag) {
  return tag == DT_HASH || tag == DT_PLTGOT || tag == DT_STRTAB || tag == DT_SYMTAB ||
         tag == DT_RELA || tag == DT_JMPREL || tag == DT_VERSYM || tag == DT_GNU_HASH;
}

// Tags of tables whose addresses are counted from the base.
constexpr bool is_relative_table(std::int64_t tag) {
  return tag == DT_VERNEED || tag == DT_VERDEF || tag == DT_RELR;
}

class Mover {
 public:
  Mover(Capture& capture, const LoaderView& loader, std::vector<MovingLibrary>& libraries)
      : capture_(capture), memory_(capture), loader_(loader), libraries_(libraries) {}

  Result<MoveResult> run(const std::vector<LinkObject>& objects,
                         const std::vector<UniqueUse>& unique) {
    if (auto done = choose_places(); !done) return std::unexpected(done.error());
    if (auto done = copy_parts(); !done) return std::unexpected(done.error());
    const Moves moves(libraries_);
    for (const auto& library : libraries_) {
      if (auto done = adapt(library, moves); !done) return std::unexpected(done.error());
    }
    note_chains(moves);
    tell_loader(moves);
    move_addresses(moves);
    set_link_maps();
    skip_idle_constructors();
    const UniqueTable table(capture_, loader_, memory_, objects, unique, moves);
    if (!table.entries().empty()) {
      const auto& entries = table.entries();
      const auto address =
          add_region(entries.data(), entries.size() * sizeof(UniqueEntry), Use::data);
      set(loader_.unique_words(), address);
      set(loader_.unique_words() + 8, std::uint64_t{entries.size()});
      set(loader_.unique_words() + 16, table.count());
      // Called for a table that has become too small. This one isn't from the heap.
      set(loader_.unique_words() + 24, loader_.nothing_function());
    }
    if (is_wrong_) return os::failed_with(EFAULT, "change the data of ld.so");
    replace_regions();
    if (auto done = copy_tls(); !done) return std::unexpected(done.error());
    for (const auto& library : libraries_) {
      auto& object = capture_.objects[library.object];
      object.dynamic = moves(object.dynamic);
      object.base = library.new_base;
    }
    return result_;
  }

 private:
  Result<void> choose_places();
  Result<void> copy_parts();
  Result<void> adapt(const MovingLibrary& library, const Moves& moves);
  void adapt_dynamic(const MovingLibrary& library, const Moves& moves);
  void tell_loader(const Moves& moves);
  void move_addresses(const Moves& moves);
  void note_chains(const Moves& moves);
  void set_link_maps();
  void skip_idle_constructors();
  void replace_regions();
  Result<void> copy_tls();

  // The bytes at a new address; null if they aren't in one of the new regions.
  std::uint8_t* at(std::uint64_t address, std::uint64_t size);
  template <class T>
  void put(std::uint64_t address, const T& value) {
    if (auto* there = at(address, sizeof value)) std::memcpy(there, &value, sizeof value);
  }
  std::uint64_t word(std::uint64_t address) {
    std::uint64_t value = 0;
    if (const auto* there = at(address, sizeof value)) std::memcpy(&value, there, sizeof value);
    return value;
  }
  // In memory that stays where it is.
  template <class T>
  void set(std::uint64_t address, const T& value) {
    if (!memory_.put(address, value)) is_wrong_ = true;
  }
  // A region of its own behind all others; its address.
  std::uint64_t add_region(const void* bytes, std::size_t size, Use use);

  Capture& capture_;
  CaptureMemory memory_;
  const LoaderView& loader_;
  std::vector<MovingLibrary>& libraries_;
  std::vector<CapturedRegion> regions_;                          // new ones, by address
  std::vector<std::pair<std::uint64_t, std::uint64_t>> chains_;  // addresses and new values
  bool is_wrong_ = false;                                        // a word couldn't be written
  std::uint64_t next_ = 0;                                       // where the next one may begin
  MoveResult result_;
};

Result<void> Mover::choose_places() {
  std::vector<PlaceItem> items;
  items.reserve(libraries_.size());
  for (const auto& library : libraries_) items.push_back(library.library->item);
  const auto placement = place(items);

  // Behind everything that is there, with a page in between as everywhere in the arena.
  const auto begin = round_up(capture_.arena_end + kPageSize, 1 << 16);
  for (std::size_t i = 0; i < libraries_.size(); ++i) {
    libraries_[i].new_base = begin + placement.bases[i];
    if (libraries_[i].new_base % items[i].alignment != 0 && items[i].alignment <= (1 << 16)) {
      return os::failed_with(EINVAL, "place libraries");
    }
  }
  for (const auto& run : placement.runs) {
    CapturedRegion region;
    region.address = begin + run.begin;
    region.size = run.end - run.begin;
    region.protection = protection_of(run.use);
    region.bytes.resize(region.size);
    regions_.push_back(std::move(region));
  }
  next_ = begin + placement.size;
  result_.groups = placement.groups;
  result_.begin = begin;

  // The tables, close to each other; of each the address is what it was, modulo 16.
  std::uint64_t size = 0;
  for (auto& library : libraries_) {
    const auto& tables = library.library->tables;
    if (!tables.any()) continue;
    size = round_up(size, kPlaceUnit) + tables.begin % kPlaceUnit;
    library.new_tables = next_ + size;
    size += tables.end - tables.begin;
  }
  if (size == 0) return {};
  const std::vector<std::uint8_t> zeros(size);
  add_region(zeros.data(), size, Use::read);
  return {};
}

std::uint64_t Mover::add_region(const void* bytes, std::size_t size, Use use) {
  CapturedRegion region;
  region.address = next_;
  region.size = round_up(size, kPageSize);
  region.protection = protection_of(use);
  region.bytes.resize(region.size);
  std::memcpy(region.bytes.data(), bytes, size);
  next_ += region.size;
  regions_.push_back(std::move(region));
  return regions_.back().address;
}

std::uint8_t* Mover::at(std::uint64_t address, std::uint64_t size) {
  auto region =
      std::upper_bound(regions_.begin(), regions_.end(), address,
                       [](std::uint64_t a, const CapturedRegion& one) { return a < one.address; });
  if (region == regions_.begin()) return nullptr;
  --region;
  const auto offset = address - region->address;
  return offset <= region->size && region->size - offset >= size ? region->bytes.data() + offset
                                                                 : nullptr;
}

Result<void> Mover::copy_parts() {
  const auto copy = [&](std::uint64_t from, std::uint64_t to, std::uint64_t size) {
    auto* there = at(to, size);
    return there != nullptr && memory_.read(from, {there, size});
  };
  for (const auto& library : libraries_) {
    const auto& tables = library.library->tables;
    bool done = !tables.any() || copy(library.old_base + tables.begin, library.new_tables,
                                      tables.end - tables.begin);
    for (const auto& part : library.library->item.parts) {
      done = done && copy(library.old_base + part.begin, library.new_base + part.begin,
                          part.end - part.begin);
    }
    if (!done) {
      return os::failed_with(EFAULT, "read the memory of", capture_.objects[library.object].path);
    }
  }
  return {};
}

// The library's own words: what relocations have made, its dynamic section, its program headers.
Result<void> Mover::adapt(const MovingLibrary& library, const Moves& moves) {
  for (const auto& linked : library.words) {
    if (linked.is_address) put(moves(linked.address), moves(linked.value));
  }
  adapt_dynamic(library, moves);
  const auto& tables = library.library->tables;
  if (!tables.any()) return {};
  const auto& elf = library.library->file->elf;
  const auto headers = elf.program_headers();
  for (std::size_t i = 0; i < headers.size(); ++i) {
    auto header = headers[i];
    if (header.p_type != PT_LOAD || header.p_vaddr != 0) continue;
    header.p_filesz = header.p_memsz = tables.begin;
    put(library.new_base + elf.header().e_phoff + i * sizeof header, header);
  }
  return {};
}

void Mover::adapt_dynamic(const MovingLibrary& library, const Moves& moves) {
  const auto section = moves(capture_.objects[library.object].dynamic);
  const auto count = library.library->file->elf.dynamic().size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto entry = section + i * sizeof(Elf64_Dyn);
    const auto tag = static_cast<std::int64_t>(word(entry));
    const auto value = word(entry + 8);
    if (is_made_absolute(tag)) {
      put(entry + 8, moves(value));
    } else if (is_relative_table(tag)) {
      // May come to be negative; ld.so adds it to the base without looking.
      put(entry + 8, moves(library.old_base + value) - library.new_base);
    }
  }
}

// Words of the process that are addresses in what has moved. That a number looks like one by chance
// can be excluded: the arena is at a random place of 46 bits, and what is looked at is ld.so's own
// data, and that of libraries that were relocated and not yet run.
void Mover::move_addresses(const Moves& moves) {
  for (auto& region : capture_.regions) {
    if (moves.contains(region.address)) continue;
    for (std::size_t i = 0; i + 8 <= region.bytes.size(); i += 8) {
      std::uint64_t value = 0;
      std::memcpy(&value, region.bytes.data() + i, sizeof value);
      if (value < capture_.arena_begin || value > capture_.arena_end) continue;
      const auto moved = moves(value);
      if (moved != value) std::memcpy(region.bytes.data() + i, &moved, sizeof moved);
    }
  }
}

// _dl_find_object's table, with an entry for each segment of what has moved.
void Mover::tell_loader(const Moves& moves) {
  std::vector<FindObjectEntry> table;
  std::map<std::uint64_t, std::uint64_t> eh_frames;
  for (const auto& entry : loader_.find_object_table()) {
    if (moves.contains(entry.begin)) {
      eh_frames[entry.link_map] = moves(entry.eh_frame);
    } else {
      table.push_back(entry);
    }
  }
  for (const auto& library : libraries_) {
    const auto map = capture_.objects[library.object].link_map;
    const auto eh_frame = eh_frames.find(map);
    if (eh_frame == eh_frames.end()) continue;
    for (const auto& part : library.library->item.parts) {
      table.push_back(
          {library.new_base + part.begin, library.new_base + part.end, map, eh_frame->second});
    }
  }
  std::ranges::sort(table, {}, &FindObjectEntry::begin);
  const auto at = add_region(table.data(), table.size() * sizeof(FindObjectEntry), Use::read);
  set(loader_.find_object_words(), at);
  set(loader_.find_object_words() + 8, std::uint64_t{table.size()});
  set(loader_.find_object_words() + 16, table.back().end);
}

void Mover::set_link_maps() {
  const auto& layout = loader_.layout().map;
  for (const auto& library : libraries_) {
    const auto map = capture_.objects[library.object].link_map;
    const auto flags = memory_.get<std::uint8_t>(map + layout.contiguous).value_or(0);
    set(map + layout.contiguous, static_cast<std::uint8_t>(flags & ~layout.contiguous_mask));
  }
  for (const auto& [address, chains] : chains_) set(address, chains);
}

// l_gnu_chain_zero is counted from symbol 0, and so may lead before the table that it belongs to,
// to something that has not moved with it: even to another library, of what stays, too.
void Mover::note_chains(const Moves& moves) {
  std::map<std::size_t, std::uint64_t> distances;
  for (const auto& library : libraries_) {
    const auto& tables = library.library->tables;
    if (!library.library->file->elf.tag(DT_GNU_HASH)) {
      continue;  // the same word leads into a table then
    }
    distances[library.object] = tables.any()
                                    ? library.new_tables - (library.old_base + tables.begin)
                                    : library.new_base - library.old_base;
  }
  for (std::size_t i = 0; i < capture_.objects.size(); ++i) {
    const auto distance = distances.find(i);
    const bool stays = !moves.contains(capture_.objects[i].dynamic);
    if (distance == distances.end() && !stays) continue;
    const auto address = capture_.objects[i].link_map + loader_.layout().map.gnu_chain_zero;
    chains_.emplace_back(address, memory_.word(address) + (stays ? 0 : distance->second));
  }
}

void Mover::skip_idle_constructors() {
  std::set<std::uint64_t> idle;
  for (const auto& library : libraries_) {
    if (library.is_idle) idle.insert(capture_.objects[library.object].link_map);
  }
  const auto count = loader_.scope().size();
  // Called from the last to the first.
  for (auto i = count; i-- > 0;) {
    const auto entry = loader_.init_order() + 8 * i;
    if (i + 1 == count || !idle.contains(memory_.word(entry))) continue;
    set(entry, memory_.word(entry + 8));
  }
}

void Mover::replace_regions() {
  const Moves moves(libraries_);
  std::erase_if(capture_.regions,
                [&](const auto& region) { return moves.contains(region.address); });
  for (auto& region : regions_) {
    result_.bytes += region.size;
    ++result_.mappings;
    capture_.regions.push_back(std::move(region));
  }
  regions_.clear();
  std::ranges::sort(capture_.regions, {}, &CapturedRegion::address);
  capture_.arena_end = next_;
}

// ld.so has copied the initial values of thread-local variables for the first thread before they
// were relocated.
Result<void> Mover::copy_tls() {
  const auto& layout = loader_.layout().map;
  for (const auto& library : libraries_) {
    const auto map = capture_.objects[library.object].link_map;
    const auto size = memory_.word(map + layout.tls_image_size);
    if (size == 0) continue;
    std::vector<std::uint8_t> image(size);
    const auto block = capture_.thread.thread_pointer - memory_.word(map + layout.tls_offset);
    if (!memory_.read(memory_.word(map + layout.tls_image), image) ||
        !memory_.write(block, image)) {
      return os::failed_with(EFAULT, "initialise the thread-local variables of",
                             capture_.objects[library.object].path);
    }
  }
  return {};
}

}  // namespace

Moves::Moves(const std::vector<MovingLibrary>& libraries) {
  for (const auto& library : libraries) by_base_.push_back(&library);
  std::ranges::sort(by_base_, {}, [](const auto* library) { return library->old_base; });
}

const MovingLibrary* Moves::find(std::uint64_t address) const {
  auto at =
      std::upper_bound(by_base_.begin(), by_base_.end(), address,
                       [](std::uint64_t a, const MovingLibrary* one) { return a < one->old_base; });
  if (at == by_base_.begin()) return nullptr;
  --at;
  return address <= (*at)->old_end ? *at : nullptr;
}

std::uint64_t Moves::operator()(std::uint64_t address) const {
  const auto* library = find(address);
  if (library == nullptr) return address;
  const auto offset = address - library->old_base;
  const auto& tables = library->library->tables;
  if (tables.any() && offset >= tables.begin && offset < tables.end) {
    return library->new_tables + (offset - tables.begin);
  }
  return library->new_base + offset;
}

Result<MoveResult> move_libraries(Capture& capture, const LoaderView& loader,
                                  std::vector<MovingLibrary>& libraries,
                                  const std::vector<LinkObject>& objects,
                                  const std::vector<UniqueUse>& unique) {
  return Mover(capture, loader, libraries).run(objects, unique);
}

}  // namespace prewarm::image
