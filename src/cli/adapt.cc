// SPDX-License-Identifier: MIT
//
// `prewarm adapt PROTOCOL [OPTIONS] -- COMMAND…`: a coprocess worker that drives a tool which
// speaks something else. For the owner of pools, not for people.
#include <algorithm>

#include "cli/commands.h"
#include "cli/locate.h"
#include "coproc/adapter.h"
#include "coproc/adapter_ready.h"

namespace prewarm::cli {
namespace {

struct Protocol {
  const char* name;
  int (*adapt)(const coproc::AdapterOptions& options);
};
constexpr Protocol kProtocols[] = {
    {"ready", coproc::adapt_ready},
};

}  // namespace

int adapt(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  const auto dashes = std::ranges::find(words, "--");
  for (const Protocol& protocol : kProtocols) {
    if (words.empty() || words[0] != protocol.name) continue;
    if (dashes == words.end() || dashes + 1 == words.end()) break;
    return protocol.adapt({.options = {words.begin() + 1, dashes},
                           .command = {dashes + 1, words.end()},
                           .agent = find_agent()});
  }
  complain("usage: prewarm adapt PROTOCOL [OPTIONS] -- COMMAND [ARGUMENTS]");
  return kUsageError;
}

}  // namespace prewarm::cli
