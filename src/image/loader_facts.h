// SPDX-License-Identifier: MIT
//
// What the installed dynamic linker goes by when it looks for libraries, as it says itself
// (ld.so --list-diagnostics, since glibc 2.33): so processor and distribution needn't be guessed
// at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "os/result.h"

namespace prewarm::image {

struct LoaderFacts {
  std::string version;                          // of glibc: "2.36"
  std::string platform;                         // what $PLATFORM stands for
  std::string library;                          // what $LIB stands for: "lib/x86_64-linux-gnu"
  std::vector<std::string> system_directories;  // in order; each ends with a slash
  // Names below glibc-hwcaps that this processor can use, best first.
  std::vector<std::string> subdirectories;
  // The older way, dropped by glibc 2.37: directories named by processor. Bits are those of
  // `capability_name`; `has_legacy` says whether this linker still looks there.
  bool has_legacy = false;
  std::uint64_t capabilities = 0;     // those of the processor that have directories
  std::uint64_t platform_number = 0;  // of the platforms in the cache; all ones: none of them

  bool operator==(const LoaderFacts&) const = default;

  // What is put between a directory and a name, in ld.so's order: "glibc-hwcaps/x86-64-v3/", …,
  // and nothing at last.
  std::vector<std::string> search_subdirectories() const;
};

// Of what ld.so prints. An error if something needed isn't there.
os::Result<LoaderFacts> parse_loader_facts(std::string_view diagnostics);

// Runs `loader` (the program's PT_INTERP), with an empty environment. About a millisecond: keep the
// result as long as the file and the machine are the same.
os::Result<LoaderFacts> ask_loader(const std::string& loader);

}  // namespace prewarm::image
