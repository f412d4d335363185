// SPDX-License-Identifier: MIT
#include "bench/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace prewarm::bench {
namespace {

constexpr std::array<std::string_view, 6> kShellVariables = {
    "BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "POSIXLY_CORRECT", "XDG_CACHE_HOME"};

// One round; `order` holds indices of variants. Samples are added to `series` unless it is null.
os::Result<void> take_round(const Plan& plan, const std::vector<std::size_t>& order,
                            std::vector<Series>* series) {
  for (const std::size_t v : order) {
    const Variant& variant = plan.variants[v];
    const auto sample = variant.measure();
    if (!sample) {
      return os::failed_with(0, "measure", variant.name + ": " + sample.error().message());
    }
    if (series == nullptr) continue;
    for (std::size_t m = 0; m < plan.metrics.size(); ++m) {
      (*series)[v].samples[m].push_back(sample->at(m));
    }
  }
  return {};
}

}  // namespace

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) != 0) {}

void Progress::show(const std::string& what) {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K{}  {}", label_, what);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!terminal_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
}

std::vector<std::string> Session::environment(const std::string& cache) const {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::ranges::find(kShellVariables, name) == kShellVariables.end()) env.emplace_back(text);
  }
  env.push_back("XDG_CACHE_HOME=" + scratch_path(cache));
  return env;
}

os::Result<std::string> Session::script(const std::string& name, const std::string& text) const {
  std::string path = scratch_path(name);
  if (auto written = write_file(path, text); !written) return std::unexpected(written.error());
  return path;
}

os::Result<Measured> interleave(const Session& session, const Plan& plan) {
  Measured measured;
  measured.metrics = plan.metrics;
  measured.sample = plan.sample;
  measured.note = plan.note;
  std::vector<std::size_t> order;
  for (const Variant& variant : plan.variants) {
    order.push_back(order.size());
    measured.series.push_back(
        {variant.name, std::vector<std::vector<double>>(plan.metrics.size())});
  }
  if (plan.warm_up) {
    session.progress.show("warming up");
    if (auto done = take_round(plan, order, nullptr); !done) return std::unexpected(done.error());
  }
  for (unsigned round = 0; round < plan.rounds; ++round) {
    session.progress.show(fmt::format("round {} of {}", round + 1, plan.rounds));
    if (auto done = take_round(plan, order, &measured.series); !done) {
      return std::unexpected(done.error());
    }
    std::ranges::reverse(order);
  }
  return measured;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return ::access(name.c_str(), X_OK) == 0 ? name : "";
  const char* variable = std::getenv("PATH");
  const std::string path = variable == nullptr ? "/usr/local/bin:/usr/bin:/bin" : variable;
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find(':', at), path.size());
    std::string candidate = path.substr(at, end - at) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    at = end + 1;
  }
  return {};
}

}  // namespace prewarm::bench
