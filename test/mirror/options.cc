// SPDX-License-Identifier: MIT
#include "options.h"

#include <cstdlib>
#include <string_view>

namespace mirror {
namespace {

bool parse_flag(Options& options, std::string_view word) {
  if (word == "--canary") return options.canary = true;
  if (word == "--maps") return options.maps = true;
  if (word == "--usage") return options.usage = true;
  if (word == "--constructor") return options.constructor = true;
  if (word == "--child") return options.child = true;
  if (word == "--list-loader-variables") return options.list_loader_variables = true;
  return false;
}

bool parse_valued(Options& options, std::string_view word, const char* value) {
  const auto number = [value] { return std::strtol(value, nullptr, 10); };
  if (word == "--output") {
    options.output = value;
  } else if (word == "--shell-pid") {
    options.shell_pid = number();
  } else if (word == "--linger") {
    options.linger_ms = static_cast<int>(number());
  } else if (word == "--read") {
    options.read_bytes = static_cast<unsigned long>(number());
  } else if (word == "--say") {
    options.say = value;
  } else if (word == "--say-error") {
    options.say_error = value;
  } else if (word == "--exit") {
    options.exit_status = static_cast<int>(number());
  } else if (word == "--signal") {
    options.signal = static_cast<int>(number());
  } else {
    return false;
  }
  return true;
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") break;
    if (parse_flag(options, word)) continue;
    if (i + 1 < argc && parse_valued(options, word, argv[i + 1])) ++i;
  }
  return options;
}

}  // namespace mirror
