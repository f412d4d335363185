// SPDX-License-Identifier: MIT
#include "bench/pool_loop.h"

#include <fmt/format.h>

#include <filesystem>
#include <sstream>

namespace prewarm::bench {
namespace {

constexpr unsigned kInvocations = 1000;  // of what is warm,
constexpr unsigned kBatch = 25;          // and of what is not: they take long
constexpr unsigned kQuick = 3;
constexpr unsigned kRounds = 5;  // these are long, too

constexpr const char* kLoop = R"({first}
start=$EPOCHREALTIME
{loop}
end=$EPOCHREALTIME
started=$("$PREWARM" pool stats --json | grep -o '"started": [0-9]*' | grep -o '[0-9]*')
"$PREWARM" pool stop
{last}
echo "${start/[.,]/} ${end/[.,]/} ${started:-0}"
)";

std::string filled(std::string text, const std::string& name, const std::string& value) {
  const std::string mark = "{" + name + "}";
  for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size()) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

// us per invocation.
os::Result<std::vector<double>> run_loop(const Session& session, const Command& command,
                                         const PoolLoop& loop) {
  const auto outcome = session.processes.run(command);
  if (!outcome) return std::unexpected(outcome.error());
  std::istringstream words(outcome->output);
  double start = 0;
  double end = 0;
  unsigned started = 0;
  if (!(words >> start >> end >> started) || end <= start) {
    return os::failed_with(0, "read the times of", loop.name + ": '" + outcome->output + "'");
  }
  // Else what was measured isn't what its name says.
  if (started > loop.most_started || (started == 0) != (loop.most_started == 0)) {
    return os::failed_with(
        0, "run",
        fmt::format("{} workers started, {} at most are expected", started, loop.most_started));
  }
  return std::vector<double>{(end - start) / loop.invocations};
}

}  // namespace

std::string repeated(const std::string& command) {
  return "for ((i = 0; i < $1; ++i)); do " + command + "; done >/dev/null";
}

Tools::Tools(const Session& session)
    : session_(session), environment_(session.environment("cache")) {
  environment_.push_back("PREWARM=" + session.options.prewarm);
  environment_.push_back("PREWARM_RUNTIME_DIR=" + session.scratch_path("runtime"));
  environment_.push_back("PREWARM_DECLARATIONS=" + session.scratch_path("declarations"));
}

unsigned Tools::warm() const { return session_.options.quick ? kQuick : kInvocations; }
unsigned Tools::batch() const { return session_.options.quick ? kQuick : kBatch; }

os::Result<std::string> Tools::executable(const std::string& name, const std::string& text) const {
  auto path = session_.script(name, text);
  std::error_code code;
  if (path) std::filesystem::permissions(*path, std::filesystem::perms(0755), code);
  return path;
}

os::Result<void> Tools::declare(const std::string& text) const {
  if (const auto path = session_.script("declarations", text); !path) {
    return std::unexpected(path.error());
  }
  return {};
}

os::Result<Measured> Tools::measure(const std::vector<PoolLoop>& loops,
                                    const std::string& note) const {
  Plan plan;
  plan.metrics = {"time per invocation"};
  plan.sample = "mean of a loop";
  plan.note = note;
  plan.rounds = session_.options.quick ? 1 : kRounds;
  for (const PoolLoop& loop : loops) {
    auto one = variant(loop);
    if (!one) return std::unexpected(one.error());
    plan.variants.push_back(std::move(*one));
  }
  return interleave(session_, plan);
}

os::Result<Variant> Tools::variant(const PoolLoop& loop) const {
  std::string text = kLoop;
  text = filled(filled(filled(text, "first", loop.first), "loop", loop.loop), "last", loop.last);
  const auto script = session_.script(loop.name + ".sh", text);
  if (!script) return std::unexpected(script.error());
  Command command{.argv = loop.shell, .env = environment_, .limit = std::chrono::seconds(300)};
  command.argv.push_back(*script);
  command.argv.push_back(std::to_string(loop.invocations));
  const Session& session = session_;
  return Variant{loop.name, [&session, command, loop] { return run_loop(session, command, loop); }};
}

}  // namespace prewarm::bench
