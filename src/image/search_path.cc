// SPDX-License-Identifier: MIT
#include "image/search_path.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace prewarm::image {
namespace {

bool is_identifier(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// How long a token `name` at the start of `text` (behind the $) is; 0 if it isn't one.
std::size_t token_length(std::string_view text, std::string_view name) {
  const bool braces = text.starts_with('{');
  if (braces) text.remove_prefix(1);
  if (!text.starts_with(name)) return 0;
  const char next = text.size() > name.size() ? text[name.size()] : '\0';
  if (braces) return next == '}' ? name.size() + 2 : 0;
  return is_identifier(next) ? 0 : name.size();
}

}  // namespace

std::optional<std::string> expand_tokens(std::string_view text, std::string_view origin,
                                         const LoaderFacts& facts) {
  std::string result;
  while (!text.empty()) {
    const auto dollar = std::min(text.find('$'), text.size());
    result += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.empty()) break;
    text.remove_prefix(1);
    const std::size_t origin_length = token_length(text, "ORIGIN");
    const std::size_t platform_length = token_length(text, "PLATFORM");
    const std::size_t library_length = token_length(text, "LIB");
    if (origin_length != 0) {
      if (origin.empty()) return {};
      result += origin;
    } else if (platform_length != 0) {
      result += facts.platform;
    } else if (library_length != 0) {
      result += facts.library;
    } else {
      result += '$';
    }
    text.remove_prefix(origin_length + platform_length + library_length);
  }
  return result;
}

std::string origin_of(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {};
  return std::string(path.substr(0, std::max<std::size_t>(slash, 1)));
}

Directories::Directories(const LoaderFacts& facts)
    : facts_(&facts), subdirectories_(facts.search_subdirectories()) {}

std::uint32_t Directories::number_of(const std::string& path) {
  const auto [at, is_new] = numbers_.try_emplace(path, size());
  if (!is_new) return at->second;
  if (!path.starts_with('/')) any_relative_ = true;
  Directory directory;
  directory.path = path;
  const char* name = path.empty() ? "." : path.c_str();
  struct stat status;
  directory.exists = ::stat(name, &status) == 0 && S_ISDIR(status.st_mode);
  if (directory.exists && descriptors_ < kMostDescriptors) {
    directory.fd.reset(::open(name, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (directory.fd.valid()) ++descriptors_;
  }
  directories_.push_back(std::move(directory));
  return at->second;
}

const SearchList& Directories::family_of(const std::string& path) {
  const auto [at, is_new] = families_.try_emplace(path);
  if (!is_new) return at->second;
  SearchList list;
  // The directory itself comes last, but without it there is nothing below it.
  const bool exists = directories_[number_of(path)].exists;
  for (const std::string& subdirectory : subdirectories_) {
    if (!exists) break;
    const std::uint32_t number = number_of(path + subdirectory);
    if (directories_[number].exists) list.push_back(number);
  }
  return at->second = std::move(list);
}

// A directory that is named twice in a list is searched once.
void Directories::add_family(const std::string& path, std::vector<std::string>& seen,
                             SearchList& to) {
  if (std::find(seen.begin(), seen.end(), path) != seen.end()) return;
  seen.push_back(path);
  const SearchList& family = family_of(path);
  to.insert(to.end(), family.begin(), family.end());
}

SearchList Directories::list_of(std::string_view text, std::string_view separators,
                                std::string_view origin) {
  SearchList result;
  std::vector<std::string> seen;
  bool more = !text.empty();
  while (more) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    const auto expanded = expand_tokens(text.substr(0, end), origin, *facts_);
    const bool was_empty = end == 0;
    more = end < text.size();
    text.remove_prefix(more ? end + 1 : end);
    if (!expanded || (expanded->empty() && !was_empty)) continue;
    std::string path = *expanded;
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    if (!path.empty() && !path.ends_with('/')) path += '/';
    add_family(path, seen, result);
  }
  return result;
}

SearchList Directories::system_list() {
  SearchList result;
  std::vector<std::string> seen;
  for (const std::string& path : facts_->system_directories) add_family(path, seen, result);
  return result;
}

}  // namespace prewarm::image
