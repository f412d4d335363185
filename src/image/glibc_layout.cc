// SPDX-License-Identifier: MIT
#include "image/glibc_layout.h"

#include <elf.h>
#include <errno.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <unordered_map>

#include "image/library_file.h"

namespace prewarm::image {
namespace {

using os::Result;

constexpr std::array<LoaderLayout, 1> kLayouts = {{
    // libc6-dbg 2.36-9+deb12u14
    {"2.36",
     {.real = 40,
      .info = 64,
      .info_count = 80,
      .program_headers = 704,
      .header_count = 720,
      .search_list = 728,
      .gnu_chain_zero = 808,
      .state = 820,
      .contiguous = 822,
      .contiguous_mask = 1 << 3,
      .map_start = 880,
      .map_end = 888,
      .init_order = 1000,
      .tls_image = 1104,
      .tls_image_size = 1112,
      .tls_block_size = 1120,
      .tls_offset = 1144,
      .tls_module = 1152,
      .size = 1192},
     80},
}};

std::unexpected<Error> unknown(const char* what, std::string subject = {}) {
  return os::failed_with(ENOTSUP, what, std::move(subject));
}

// "GNU C Library (Debian …) stable release version 2.36." in the C library's file.
std::string_view version_of(Bytes file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const auto banner = text.find("GNU C Library ");
  if (banner == std::string_view::npos) return {};
  constexpr std::string_view kBefore = " release version ";
  auto begin = text.substr(banner, 200).find(kBefore);
  if (begin == std::string_view::npos) return {};
  begin += banner + kBefore.size();
  const auto end = text.find_first_not_of("0123456789.", begin);
  auto version = text.substr(begin, end - begin);
  while (version.ends_with('.')) version.remove_suffix(1);
  return version;
}

bool is_c_library(std::string_view path) { return path.substr(path.rfind('/') + 1) == "libc.so.6"; }

}  // namespace

const LoaderLayout* loader_layout(std::string_view version) {
  const auto at = std::find_if(kLayouts.begin(), kLayouts.end(),
                               [&](const auto& layout) { return layout.version == version; });
  return at == kLayouts.end() ? nullptr : &*at;
}

Result<void> LoaderView::check_link_maps(const Capture& capture, CaptureMemory& memory) {
  const auto& map = layout_->map;
  bool is_program = true;
  for (const auto& object : capture.objects) {
    const auto at = object.link_map;
    const auto state = memory.get<std::uint8_t>(at + map.state).value_or(0);
    const auto strings = memory.word(at + map.info + 8 * DT_STRTAB);
    const auto tls_size = memory.word(at + map.tls_block_size);
    const auto tls_image = memory.word(at + map.tls_image);
    const auto start = memory.word(at + map.map_start);
    const auto end = memory.word(at + map.map_end);
    const bool is_vdso = object.base == capture.vdso.code;
    // The dynamic section of a non-PIE program, and whatever else, lies within the object.
    const bool fits = memory.word(at + map.real) == at && start < end && object.dynamic > start &&
                      object.dynamic < end && strings > start && strings < end &&
                      (is_vdso || memory.word(strings) == DT_STRTAB) &&
                      (state & kStateInitCalled) == 0 &&
                      (is_program ? (state & kStateType) == 0 : (state & kStateType) == 1) &&
                      (tls_size == 0) == (memory.word(at + map.tls_module) == 0) &&
                      (tls_image == 0 || (tls_image > start && tls_image < end));
    if (!fits) return unknown("ld.so's data isn't as expected: link map of", object.path);
    is_program = false;
  }
  return {};
}

Result<void> LoaderView::find_scope(const Capture& capture, CaptureMemory& memory) {
  std::unordered_map<std::uint64_t, std::uint32_t> indices;
  for (std::uint32_t i = 0; i < capture.objects.size(); ++i) {
    indices.emplace(capture.objects[i].link_map, i);
  }
  const auto program = capture.objects.front().link_map;
  const auto list = memory.word(program + layout_->map.search_list);
  const auto count = memory.get<std::uint32_t>(program + layout_->map.search_list + 8).value_or(0);
  init_order_ = memory.word(program + layout_->map.init_order);
  if (count == 0 || count > capture.objects.size()) {
    return unknown("ld.so's data isn't as expected: the global scope");
  }
  std::set<std::uint64_t> ordered;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto known = indices.find(memory.word(list + 8 * i));
    const auto in_order = memory.word(init_order_ + 8 * i);
    if (known == indices.end() || (i == 0 && known->second != 0) || !indices.contains(in_order) ||
        !ordered.insert(in_order).second) {
      return unknown("ld.so's data isn't as expected: the global scope");
    }
    scope_.push_back(known->second);
  }
  if (memory.word(init_order_ + 8 * std::uint64_t{count}) != 0) {
    return unknown("ld.so's data isn't as expected: the order of constructors");
  }
  return {};
}

Result<void> LoaderView::find_object_tables(const Capture& capture, CaptureMemory& memory) {
  struct Extent {
    std::uint64_t begin, end;
  };
  std::unordered_map<std::uint64_t, Extent> extents;
  for (const auto& object : capture.objects) {
    extents[object.link_map] = {memory.word(object.link_map + layout_->map.map_start),
                                memory.word(object.link_map + layout_->map.map_end)};
  }
  const auto read_table = [&](std::uint64_t at, std::uint64_t count, std::uint64_t end) {
    std::vector<FindObjectEntry> table;
    std::uint64_t last = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto entry = memory.get<FindObjectEntry>(at + i * sizeof(FindObjectEntry));
      if (!entry || entry->begin < last || entry->begin >= entry->end) return decltype(table){};
      const auto extent = extents.find(entry->link_map);
      if (extent == extents.end() || entry->begin < extent->second.begin ||
          entry->end > extent->second.end) {
        return decltype(table){};
      }
      last = entry->end;
      table.push_back(*entry);
    }
    return last == end ? table : decltype(table){};
  };
  const auto extent = std::find_if(extents.begin(), extents.end(), [&](const auto& one) {
    return one.second.begin == capture.loader_base;
  });
  if (extent == extents.end()) return unknown("find ld.so's link map");
  const std::uint64_t most = 16 * capture.objects.size();
  for (auto at = capture.loader_base; at + 24 <= extent->second.end; at += 8) {
    const auto* region = capture.find(at);
    if (region == nullptr || region->bytes.empty()) continue;
    const auto count = capture.word(at + 8);
    if (count == 0 || count > most || capture.find(capture.word(at)) == nullptr) continue;
    auto table = read_table(capture.word(at), count, capture.word(at + 16));
    if (table.empty()) continue;
    if (find_object_words_ != 0) return unknown("ld.so has two tables of where its objects are");
    find_object_words_ = at;
    find_object_table_ = std::move(table);
  }
  if (find_object_words_ == 0) return unknown("find ld.so's table of where its objects are");
  return {};
}

Result<void> LoaderView::find_unique_table(const Capture& capture, CaptureMemory& memory) {
  const auto loader =
      std::find_if(capture.objects.begin(), capture.objects.end(), [&](const auto& object) {
        return memory.word(object.link_map + layout_->map.map_start) == capture.loader_base;
      });
  const auto file = open_library(loader->path);
  if (!file) return std::unexpected(file.error());
  const auto& elf = (*file)->elf;
  for (std::uint32_t i = 1; i < elf.symbol_count(); ++i) {
    const auto symbol = elf.symbol(i);
    if (symbol && symbol->name == "_rtld_global") {
      unique_words_ = loader->base + symbol->value + layout_->unique_entries;
    }
  }
  if (unique_words_ == 0) return unknown("find ld.so's table of unique symbols");
  const auto entries = memory.word(unique_words_);
  const auto size = memory.word(unique_words_ + 8);
  const auto count = memory.word(unique_words_ + 16);
  std::uint64_t taken = 0;
  for (std::uint64_t i = 0; entries != 0 && i < size && size < (1 << 24); ++i) {
    if (memory.word(entries + i * sizeof(UniqueEntry) + 8) != 0) ++taken;
  }
  if ((entries == 0) != (size == 0) || count != taken || count > size) {
    return unknown("ld.so's data isn't as expected: the table of unique symbols");
  }
  for (const auto& segment : elf.loads()) {
    if ((segment.p_flags & PF_X) == 0) continue;
    const auto code = elf.bytes_at(segment.p_vaddr, segment.p_filesz);
    const auto ret = std::find(code.begin(), code.end(), std::byte{0xc3});
    if (ret != code.end()) {
      nothing_function_ =
          loader->base + segment.p_vaddr + static_cast<std::uint64_t>(ret - code.begin());
    }
  }
  return nothing_function_ != 0 ? Result<void>{} : unknown("find code in ld.so");
}

Result<LoaderView> LoaderView::open(const Capture& capture, CaptureMemory& memory) {
  const auto c_library = std::find_if(capture.objects.begin(), capture.objects.end(),
                                      [](const auto& o) { return is_c_library(o.path); });
  if (c_library == capture.objects.end()) return unknown("find the C library");
  const auto file = MappedFile::open(c_library->path.c_str());
  if (!file) return std::unexpected(file.error());
  const auto version = version_of(file->bytes());
  LoaderView view;
  view.layout_ = loader_layout(version);
  if (view.layout_ == nullptr) {
    return unknown("ld.so's data isn't known for glibc", std::string(version));
  }
  if (auto done = view.check_link_maps(capture, memory); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = view.find_scope(capture, memory); !done) return std::unexpected(done.error());
  if (auto done = view.find_object_tables(capture, memory); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = view.find_unique_table(capture, memory); !done) {
    return std::unexpected(done.error());
  }
  return view;
}

}  // namespace prewarm::image
