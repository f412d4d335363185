// SPDX-License-Identifier: MIT
//
// Directories in which ld.so looks for libraries, and lists of them (RPATH, RUNPATH,
// LD_LIBRARY_PATH, the system's), as glibc 2.36 makes them (elf/dl-load.c): with the subdirectories
// that the processor can use before each, and passed over once they are known not to exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "image/loader_facts.h"
#include "os/fd.h"

namespace prewarm::image {

struct Directory {
  std::string path;  // "" (the current directory), or ends with a slash
  bool exists = false;
  os::Fd fd;  // for *at calls; not valid if there are many directories: then by path
};

// Numbers of directories that exist, in the order of the search.
using SearchList = std::vector<std::uint32_t>;

// `text` with $ORIGIN, $LIB and $PLATFORM (or ${…}) replaced; any other $ stays. Nothing if
// `origin` is needed and empty.
std::optional<std::string> expand_tokens(std::string_view text, std::string_view origin,
                                         const LoaderFacts& facts);

// The directory of `path`, without a slash at the end but for "/".
std::string origin_of(std::string_view path);

// Each directory that was asked for, once. Not safe in several threads; but what is already there
// may be read in several.
class Directories {
 public:
  explicit Directories(const LoaderFacts& facts);

  // Of a search path. An empty entry is the current directory, an empty text no directory at all.
  SearchList list_of(std::string_view text, std::string_view separators, std::string_view origin);
  SearchList system_list();

  const Directory& operator[](std::uint32_t number) const { return directories_[number]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(directories_.size()); }
  // Whether one of them is relative, so that the result is right in this directory only.
  bool any_relative() const { return any_relative_; }

 private:
  static constexpr std::size_t kMostDescriptors = 128;

  std::uint32_t number_of(const std::string& path);
  // The directory and its subdirectories, those that exist.
  const SearchList& family_of(const std::string& path);
  void add_family(const std::string& path, std::vector<std::string>& seen, SearchList& to);

  const LoaderFacts* facts_;
  std::vector<std::string> subdirectories_;
  std::deque<Directory> directories_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::unordered_map<std::string, SearchList> families_;
  std::size_t descriptors_ = 0;
  bool any_relative_ = false;
};

}  // namespace prewarm::image
