// SPDX-License-Identifier: MIT
//
// Settings come in an environment variable: any text gives some, and what was understood survives
// being written and read again.
#include <algorithm>
#include <cstdint>
#include <string>

#include "invariant.h"
#include "launch/settings.h"

namespace {

using prewarm::launch::Settings;

void must_be_equal(const Settings& a, const Settings& b) {
  PREWARM_MUST(a.stats == b.stats);
  PREWARM_MUST(a.stats_json == b.stats_json);
  PREWARM_MUST(a.learn == b.learn);
  PREWARM_MUST(a.max_warm == b.max_warm);
  PREWARM_MUST(a.clone == b.clone);
  PREWARM_MUST(a.script == b.script);
  PREWARM_MUST(a.agent_path == b.agent_path);
  PREWARM_MUST(a.coprocesses == b.coprocesses);
  PREWARM_MUST(a.batch == b.batch);
  PREWARM_MUST(a.declarations == b.declarations);
  PREWARM_MUST(a.command == b.command);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // What an environment holds ends at the first NUL.
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Settings first = Settings::from_text(text.c_str());
  const std::string written = first.to_text();
  const Settings second = Settings::from_text(written.c_str());
  must_be_equal(first, second);
  PREWARM_MUST(second.to_text() == written);
  PREWARM_MUST(written.empty() || written.back() == '\n');

  // The whole input, on one line, as each value that is a text.
  std::string line(text, 0, text.find('\0'));
  std::replace(line.begin(), line.end(), '\n', ' ');
  Settings named;
  named.script = named.agent_path = named.stats_json = line;
  named.declarations = named.command = line;
  named.coprocesses = named.batch = {line, line};
  must_be_equal(Settings::from_text(named.to_text().c_str()), named);

  // On several lines it adds no settings of its own.
  Settings plain;
  plain.script.assign(text, 0, text.find('\0'));
  Settings back = Settings::from_text(plain.to_text().c_str());
  PREWARM_MUST(back.script == plain.script || back.script.empty());
  back.script = plain.script;
  must_be_equal(back, plain);
  return 0;
}
