// SPDX-License-Identifier: MIT
//
// What packing has to know about the inside of glibc's ld.so: places in its private structures, by
// version. They come from the debugging information of Debian's packages (libc6-dbg):
//   gdb -batch -ex 'ptype /o struct link_map' -ex 'ptype /o struct rtld_global' ld.so
// None is believed: LoaderView::open checks each that is used against what is known of the process
// by other ways, and finds what has no fixed place by what it must contain. If a check fails the
// program isn't packed.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "image/capture.h"
#include "image/capture_memory.h"
#include "os/result.h"

namespace prewarm::image {

// Offsets into struct link_map, bytes.
struct LinkMapLayout {
  std::uint32_t real;             // l_real
  std::uint32_t info;             // l_info
  std::uint32_t info_count;       // its entries
  std::uint32_t program_headers;  // l_phdr
  std::uint32_t header_count;     // l_phnum, 16 bits
  std::uint32_t search_list;      // l_searchlist: r_list, then r_nlist (32 bits)
  std::uint32_t gnu_chain_zero;   // l_gnu_chain_zero
  std::uint32_t state;            // 8 bits: l_type (2), l_dt_relr_ref, l_relocated, l_init_called
  std::uint32_t contiguous;       // the byte that has l_contiguous
  std::uint8_t contiguous_mask;   // and its bit
  std::uint32_t map_start;        // l_map_start
  std::uint32_t map_end;          // l_map_end
  std::uint32_t init_order;       // l_initfini
  std::uint32_t tls_image;        // l_tls_initimage
  std::uint32_t tls_image_size;   // l_tls_initimage_size
  std::uint32_t tls_block_size;   // l_tls_blocksize
  std::uint32_t tls_offset;       // l_tls_offset
  std::uint32_t tls_module;       // l_tls_modid
  std::uint32_t size;             // of struct link_map
};

inline constexpr std::uint8_t kStateType = 3;         // l_type
inline constexpr std::uint8_t kStateRelocated = 8;    // l_relocated
inline constexpr std::uint8_t kStateInitCalled = 16;  // l_init_called

struct LoaderLayout {
  std::string_view version;  // of glibc
  LinkMapLayout map;
  std::uint32_t unique_entries;  // _rtld_global._dl_ns[0]._ns_unique_sym_table.entries, then
                                 // size, n_elements, free
};

// The layout of this version; null if it isn't known.
const LoaderLayout* loader_layout(std::string_view version);

// An entry of the table that _dl_find_object looks in (struct dl_find_object_internal): which
// library an address belongs to, and its table for unwinding.
struct FindObjectEntry {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t link_map = 0;
  std::uint64_t eh_frame = 0;
};

// An entry of the table of GNU_UNIQUE symbols (struct unique_sym).
struct UniqueEntry {
  std::uint64_t hash = 0;  // 32 bits
  std::uint64_t name = 0;  // 0: the entry is free
  std::uint64_t symbol = 0;
  std::uint64_t link_map = 0;
};

// The private data of the ld.so in a capture, found and checked.
class LoaderView {
 public:
  static os::Result<LoaderView> open(const Capture& capture, CaptureMemory& memory);

  const LoaderLayout& layout() const { return *layout_; }
  // Indices into the capture's objects, in the order of the global scope.
  const std::vector<std::uint32_t>& scope() const { return scope_; }
  // Of the program's link map: what _dl_init walks, from the last to the first.
  std::uint64_t init_order() const { return init_order_; }
  // _dlfo_nodelete_mappings, _size and _end, three words, and the table itself.
  std::uint64_t find_object_words() const { return find_object_words_; }
  const std::vector<FindObjectEntry>& find_object_table() const { return find_object_table_; }
  // The address of the words entries, size, n_elements and free.
  std::uint64_t unique_words() const { return unique_words_; }
  // A `ret` in ld.so's code: a function that does nothing.
  std::uint64_t nothing_function() const { return nothing_function_; }

 private:
  os::Result<void> check_link_maps(const Capture& capture, CaptureMemory& memory);
  os::Result<void> find_scope(const Capture& capture, CaptureMemory& memory);
  os::Result<void> find_object_tables(const Capture& capture, CaptureMemory& memory);
  os::Result<void> find_unique_table(const Capture& capture, CaptureMemory& memory);

  const LoaderLayout* layout_ = nullptr;
  std::vector<std::uint32_t> scope_;
  std::uint64_t init_order_ = 0;
  std::uint64_t find_object_words_ = 0;
  std::vector<FindObjectEntry> find_object_table_;
  std::uint64_t unique_words_ = 0;
  std::uint64_t nothing_function_ = 0;
};

}  // namespace prewarm::image
