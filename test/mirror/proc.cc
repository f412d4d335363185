// SPDX-License-Identifier: MIT
#include "proc.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <sstream>

#include "report.h"

namespace mirror {

std::optional<std::string> read_file(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  char buffer[8192];
  ssize_t count = 0;
  while ((count = read(fd, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  const int error = errno;
  close(fd);
  errno = error;
  if (count < 0) return std::nullopt;
  return text;
}

std::optional<std::string> read_link(const char* path) {
  char buffer[PATH_MAX];
  const ssize_t count = readlink(path, buffer, sizeof buffer);
  if (count < 0) return std::nullopt;
  return std::string(buffer, static_cast<std::size_t>(count));
}

std::string file_value(const char* path) {
  auto text = read_file(path);
  if (!text) return error_text(errno);
  while (text->ends_with('\n')) text->pop_back();
  return digest(*text);
}

std::string link_value(const char* path) {
  const auto text = read_link(path);
  return text ? escape(*text) : error_text(errno);
}

std::optional<std::string> field_value(std::string_view text, std::string_view field) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    if (line.starts_with(field) && line.substr(field.size()).starts_with(':')) {
      auto value = line.substr(field.size() + 1);
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
        value.remove_prefix(1);
      }
      return std::string(value);
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::vector<Mapping> read_mappings() {
  std::vector<Mapping> mappings;
  std::istringstream lines(read_file("/proc/self/maps").value_or(""));
  std::string line;
  while (std::getline(lines, line)) {
    unsigned long begin = 0;
    unsigned long end = 0;
    char permissions[8] = "";
    int name_at = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %7s %*s %*s %*s %n", &begin, &end, permissions,
                    &name_at) < 3) {
      continue;
    }
    mappings.push_back({begin, end, permissions, line.substr(static_cast<std::size_t>(name_at))});
  }
  return mappings;
}

std::string mapping_name(const std::vector<Mapping>& mappings, const void* address) {
  for (const auto& mapping : mappings) {
    if (mapping.contains(address)) return mapping.name.empty() ? "(anonymous)" : mapping.name;
  }
  return "(unmapped)";
}

std::vector<std::string> stat_fields(const std::string& which) {
  const auto text = read_file(("/proc/" + which + "/stat").c_str()).value_or("");
  const auto comm_end = text.rfind(')');  // comm may itself hold blanks and parentheses
  std::vector<std::string> fields;
  if (comm_end == std::string::npos) return fields;
  std::istringstream words(text.substr(comm_end + 1));
  std::string word;
  while (words >> word) fields.push_back(word);
  return fields;
}

}  // namespace mirror
