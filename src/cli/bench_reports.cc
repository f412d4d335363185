// SPDX-License-Identifier: MIT
#include "cli/bench_reports.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

#include "cli/commands.h"

namespace prewarm::cli {
namespace {

bool write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) complain("cannot write " + path);
  return bool(file);
}

}  // namespace

bool can_write(const ReportFiles& files) {
  for (const std::string& path : {files.json, files.html}) {
    if (!path.empty() && path != "-" && !write_file(path, "")) return false;
  }
  return true;
}

bool write_reports(const ReportFiles& files, const std::string& json,
                   const std::function<std::string()>& text,
                   const std::function<std::string()>& html) {
  fmt::print("{}", files.json == "-" ? json : text());
  bool written = std::fflush(stdout) == 0;
  if (!written) complain("cannot write to standard output");
  if (!files.json.empty() && files.json != "-") written &= write_file(files.json, json);
  if (!files.html.empty()) written &= write_file(files.html, html());
  return written;
}

}  // namespace prewarm::cli
