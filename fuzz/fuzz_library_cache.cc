// SPDX-License-Identifier: MIT
//
// ld.so's cache of libraries: any bytes are safe to search, and what is found lies in the file.
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "image/library_cache.h"
#include "invariant.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using prewarm::image::Diagnostics;
  using prewarm::image::LibraryCache;
  using prewarm::image::LoaderFacts;

  LoaderFacts facts;
  facts.subdirectories = {"x86-64-v3", "x86-64-v2"};
  facts.capabilities = 6;
  facts.platform_number = 50;
  const std::vector<std::uint8_t> copy(data, data + size);  // with an end of its own
  const std::span<const std::byte> file = std::as_bytes(std::span(copy));
  Diagnostics diagnostics;
  const auto cache = LibraryCache::read(file, facts, diagnostics);
  PREWARM_MUST(cache.has_value() == (diagnostics.count() == 0));
  if (!cache) return 0;
  PREWARM_MUST(cache->size() <= size);
  const auto* start = reinterpret_cast<const char*>(file.data());
  for (const std::string_view name : {"libz.so.1", "libx.so.10", "libx.so.9", "libfast.so", "",
                                      "libboth.so", "lib99999999999999999999.so", "liba.so"}) {
    const auto found = cache->find(name);
    if (!found) continue;
    PREWARM_MUST(found->data() >= start && found->data() + found->size() < start + size);
    PREWARM_MUST(cache->find(name) == found);
  }
  return 0;
}
