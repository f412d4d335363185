// SPDX-License-Identifier: MIT
#include "launch/settings.h"

#include <cstdlib>
#include <string_view>

namespace prewarm::launch {

std::string Settings::to_text() const {
  std::string text;
  const auto add = [&text](const char* key, const std::string& value) {
    // A name with a newline in it can't be passed on; do without.
    if (value.find('\n') != std::string::npos) return;
    text += std::string(key) + "=" + value + "\n";
  };
  if (stats) add("stats", "1");
  if (!stats_json.empty()) add("stats_json", stats_json);
  if (!learn) add("learn", "0");
  add("max_warm", std::to_string(max_warm));
  if (!clone) add("isolation", "exec");
  if (!script.empty()) add("script", script);
  if (!agent_path.empty()) add("agent", agent_path);
  for (const auto& name : coprocesses) add("coprocess", name);
  for (const auto& name : batch) add("batch", name);
  if (!declarations.empty()) add("declarations", declarations);
  if (!command.empty()) add("command", command);
  return text;
}

Settings Settings::from_text(const char* text) {
  Settings s;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const auto key = line.substr(0, equals);
    const std::string value(line.substr(equals + 1));
    if (key == "stats") s.stats = value == "1";
    if (key == "stats_json") s.stats_json = value;
    if (key == "learn") s.learn = value != "0";
    if (key == "max_warm")
      s.max_warm = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
    if (key == "isolation") s.clone = value != "exec";
    if (key == "script") s.script = value;
    if (key == "agent") s.agent_path = value;
    if (key == "coprocess") s.coprocesses.push_back(value);
    if (key == "batch") s.batch.push_back(value);
    if (key == "declarations") s.declarations = value;
    if (key == "command") s.command = value;
  }
  return s;
}

}  // namespace prewarm::launch
