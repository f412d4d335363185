// SPDX-License-Identifier: MIT
//
// The Lambda example as a whole. Its own demo measures it, taking the runtimes by turns for each
// event; its samples become a report like any other.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "bench/cases.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kEventsPerRound = 10;
constexpr unsigned kQuickEvents = 3;
constexpr std::chrono::seconds kLimit{600};

os::Result<Measured> to_measured(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.contains("runtimes")) {
    return os::failed_with(0, "read the answer of lambda-demo");
  }
  Measured measured;
  measured.metrics = {"time to answer an event"};
  measured.sample = "one event";
  for (const char* runtime : {"bash", "prewarm", "cpp"}) {
    const auto found = json["runtimes"].find(runtime);
    if (found == json["runtimes"].end() || !found->contains("samples_us")) {
      return os::failed_with(0, "find in the answer of lambda-demo", runtime);
    }
    measured.series.push_back({runtime, {(*found)["samples_us"].get<std::vector<double>>()}});
    if (measured.series.back().samples[0].empty()) {
      return os::failed_with(0, "find samples in the answer of lambda-demo", runtime);
    }
  }
  return measured;
}

os::Result<Measured> measure_lambda(const Session& session) {
  const std::string demo = session.options.directory + "/../examples/lambda/lambda-demo";
  if (::access(demo.c_str(), X_OK) != 0) {
    return Measured::skip("lambda-demo was not built");
  }
  const bool quick = session.options.quick;
  const unsigned count = quick ? kQuickEvents : session.options.rounds * kEventsPerRound;
  session.progress.show(fmt::format("{} events", count));
  const auto outcome =
      session.processes.run({.argv = {demo, "--json", "--count", std::to_string(count), "--warmup",
                                      quick ? "1" : "10", "--prewarm", session.options.prewarm},
                             .env = session.environment("cache"),
                             .limit = kLimit});
  if (!outcome) return std::unexpected(outcome.error());
  return to_measured(outcome->output);
}

}  // namespace

std::vector<Case> lambda_cases() {
  return {{.name = "lambda",
           .what = "the Lambda example's loop",
           .demands = {{DemandKind::faster_at_least, "prewarm", "bash", 4},
                       {DemandKind::time_at_most, "prewarm", "cpp", 3}},
           .measure = measure_lambda}};
}

}  // namespace prewarm::bench
