// SPDX-License-Identifier: MIT
//
// Readers for what the mirror needs from /proc. All of them leave no descriptor behind and work
// (with an empty answer) where /proc isn't mounted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mirror {

// The whole file, or nothing, with errno saying why.
std::optional<std::string> read_file(const char* path);

// The link's text, or nothing, with errno saying why.
std::optional<std::string> read_link(const char* path);

// As above, as a report's value: the text, escaped, or the error.
std::string file_value(const char* path);
std::string link_value(const char* path);

// The value of `field` in a text of "Field:\tvalue" lines (/proc/PID/status, fdinfo).
std::optional<std::string> field_value(std::string_view text, std::string_view field);

struct Mapping {
  std::uintptr_t begin;
  std::uintptr_t end;
  std::string permissions;
  std::string name;  // a path, [heap], [stack], …; empty if anonymous

  [[nodiscard]] bool contains(const void* address) const {
    const auto value = reinterpret_cast<std::uintptr_t>(address);
    return begin <= value && value < end;
  }
};

std::vector<Mapping> read_mappings();

// The name of the mapping which holds `address`; "(anonymous)", or "(unmapped)" if there is none.
std::string mapping_name(const std::vector<Mapping>& mappings, const void* address);

// /proc/PID/stat from field 3 on (state first): number n of proc(5) is at index n - 3.
// `which` is "self" or a process id.
std::vector<std::string> stat_fields(const std::string& which);

}  // namespace mirror
