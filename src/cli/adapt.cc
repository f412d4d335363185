// SPDX-License-Identifier: MIT
//
// `prewarm adapt`: a Capers worker that drives a tool which speaks another protocol. Started by the
// owner of pools, not by people.
#include <algorithm>

#include "cli/commands.h"
#include "cli/locate.h"
#include "coproc/adapter_ready.h"

namespace prewarm::cli {
namespace {

struct Adapter {
  const char* protocol;
  int (*run)(const coproc::AdapterOptions& options);
};
constexpr Adapter kAdapters[] = {
    {"fcli", coproc::adapt_fcli},
    {"bazel-json", coproc::adapt_bazel_json},
    {"bazel-proto", coproc::adapt_bazel_proto},
    {"ready", coproc::adapt_ready},
};

}  // namespace

int adapt(const AdaptOptions& options) {
  const auto* adapter =
      std::find_if(std::begin(kAdapters), std::end(kAdapters),
                   [&options](const Adapter& a) { return options.protocol == a.protocol; });
  if (adapter == std::end(kAdapters)) {
    std::string known;
    for (const Adapter& a : kAdapters)
      known += (known.empty() ? "" : ", ") + std::string(a.protocol);
    complain("adapt: no adapter for '" + options.protocol + "'; there are: " + known);
    return kUsageError;
  }
  if (options.adapter.command.empty()) {
    complain("adapt: which command? prewarm adapt PROTOCOL -- COMMAND");
    return kUsageError;
  }
  auto told = options.adapter;
  told.agent = find_agent();
  const int status = adapter->run(told);
  if (status == coproc::kNoWorkerStatus) {
    complain("adapt: started without CAPERS_FD; it is for the owner of a pool to start");
  }
  return status;
}

}  // namespace prewarm::cli
