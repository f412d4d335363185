// SPDX-License-Identifier: MIT
#include "image/loader_facts.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>

#include "prewarm/command.h"

namespace prewarm::image {
namespace {

// Names of bits in AT_HWCAP's place (sysdeps/x86/dl-procinfo.c).
constexpr std::string_view kCapabilityNames[] = {"sse2", "x86_64", "avx512_1"};

// The value of the line `key`=value. Strings are in quotes; with a backslash in them they aren't
// anything that is looked for here.
std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(key) || !line.substr(key.size()).starts_with('=')) continue;
    line.remove_prefix(key.size() + 1);
    if (line.size() >= 2 && line.starts_with('"') && line.ends_with('"')) {
      line = line.substr(1, line.size() - 2);
    }
    return line;
  }
  return {};
}

std::optional<std::uint64_t> number_of(std::string_view text, std::string_view key) {
  auto digits = value_of(text, key);
  if (!digits || !digits->starts_with("0x")) return {};
  digits->remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(digits->data(), digits->data() + digits->size(), value, 16);
  if (error != std::errc() || end != digits->data() + digits->size()) return {};
  return value;
}

// The linker says which of its list of names it uses, best first: a bit for each, the first lowest.
std::vector<std::string> active_names(std::string_view names, std::uint64_t active) {
  std::vector<std::string> all;
  while (!names.empty()) {
    const auto end = std::min(names.find(':'), names.size());
    all.emplace_back(names.substr(0, end));
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  std::vector<std::string> result;
  for (std::size_t i = 0; i < all.size() && i < 64; ++i) {
    if ((active >> i & 1) != 0) result.push_back(all[i]);
  }
  return result;
}

}  // namespace

os::Result<LoaderFacts> parse_loader_facts(std::string_view diagnostics) {
  LoaderFacts result;
  const auto version = value_of(diagnostics, "version.version");
  const auto library = value_of(diagnostics, "dl_dst_lib");
  const auto platform = value_of(diagnostics, "dl_platform");
  const auto names = value_of(diagnostics, "dl_hwcaps_subdirs");
  const auto active = number_of(diagnostics, "dl_hwcaps_subdirs_active");
  if (!version || !library || !platform || !names || !active) {
    return os::failed_with(EPROTO, "understand what ld.so says of itself");
  }
  result.version = *version;
  result.library = *library;
  result.platform = *platform;
  result.subdirectories = active_names(*names, *active);
  const auto important = number_of(diagnostics, "dl_hwcap_important");
  const auto capabilities = number_of(diagnostics, "dl_hwcap");
  result.has_legacy = important && capabilities;
  if (result.has_legacy) result.capabilities = *important & *capabilities;
  result.platform_number = number_of(diagnostics, "dl_string_platform").value_or(~0ULL);
  for (unsigned i = 0;; ++i) {
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, i, 16).ptr;
    const auto directory =
        value_of(diagnostics, "path.system_dirs[0x" + std::string(digits, end) + "]");
    if (!directory) break;
    result.system_directories.emplace_back(*directory);
  }
  if (result.system_directories.empty()) {
    return os::failed_with(EPROTO, "understand what ld.so says of itself");
  }
  return result;
}

os::Result<LoaderFacts> ask_loader(const std::string& loader) {
  const auto exit = Command(loader)
                        .arg("--list-diagnostics")
                        .clear_env()
                        .in(Stdio::null())
                        .err(Stdio::null())
                        .capture({.timeout = std::chrono::seconds(10)});
  if (!exit) return std::unexpected(exit.error());
  if (!exit->success()) return os::failed_with(EPROTO, "ask what it goes by", loader);
  return parse_loader_facts(exit->out);
}

std::vector<std::string> LoaderFacts::search_subdirectories() const {
  std::vector<std::string> result;
  for (const std::string& name : subdirectories) {
    result.push_back("glibc-hwcaps/" + name + "/");
  }
  if (has_legacy) {
    // All subsets of these, each in falling order, those with the last one first.
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < std::size(kCapabilityNames); ++i) {
      if ((capabilities >> i & 1) != 0) parts.emplace_back(kCapabilityNames[i]);
    }
    if (!platform.empty()) parts.push_back(platform);
    parts.emplace_back("tls");
    for (unsigned set = (1U << parts.size()) - 1; set != 0; --set) {
      std::string path;
      for (std::size_t i = parts.size(); i-- > 0;) {
        if ((set >> i & 1) != 0) path += parts[i] + "/";
      }
      // Different sets may have the same name: it is enough to look there once.
      if (std::find(result.begin(), result.end(), path) == result.end()) result.push_back(path);
    }
  }
  result.emplace_back();
  return result;
}

}  // namespace prewarm::image
