// SPDX-License-Identifier: MIT
#include "cli/image_explain.h"
#include "cli/locate.h"
#include "cli/start_trace.h"
#include "os/clock.h"

namespace prewarm::cli {
namespace {

constexpr std::size_t kPairs = 15;
constexpr std::size_t kShareRuns = 3;
// A program whose start takes seconds isn't started as often.
constexpr std::int64_t kMostNs = 20 * os::kNsPerSecond;

using Samples = std::vector<StartTrace>;

// The step in each start, by what `value` says of it.
template <class Value>
measure::Summary summary_of(const Samples& samples, Value value) {
  std::vector<double> values;
  for (const StartTrace& sample : samples) values.push_back(value(sample));
  return measure::summarize(values);
}

std::optional<measure::Summary>& step(WayTimes& way, StartStep which) {
  return way.steps[static_cast<int>(which)];
}

WayTimes common_steps(const Samples& samples, bool until_main) {
  WayTimes way;
  step(way, StartStep::exec) = summary_of(samples, [](const auto& s) { return s.exec; });
  step(way, StartStep::constructors) =
      summary_of(samples, [](const auto& s) { return s.constructors; });
  if (until_main)
    step(way, StartStep::rest) = summary_of(samples, [](const auto& s) { return s.rest; });
  way.total = summary_of(samples, [](const auto& s) { return s.total(); });
  return way;
}

WayTimes stock_steps(const Samples& samples, const LoaderShares& shares, bool until_main) {
  WayTimes way = common_steps(samples, until_main);
  const auto share = [&](double part) {
    return summary_of(samples, [part](const auto& s) { return s.linking * part; });
  };
  step(way, StartStep::search) = share(shares.search);
  step(way, StartStep::mapping) = share(shares.mapping);
  step(way, StartStep::relocation) = share(shares.relocation);
  step(way, StartStep::other) = share(shares.rest());
  return way;
}

WayTimes image_steps(const Samples& samples, bool until_main) {
  WayTimes way = common_steps(samples, until_main);
  step(way, StartStep::asking) = summary_of(samples, [](const auto& s) { return s.asking; });
  step(way, StartStep::restoring) = summary_of(samples, [](const auto& s) { return s.linking; });
  return way;
}

// The medians of each.
os::Result<LoaderShares> median_shares(const std::string& program, const StartPlaces& places,
                                       std::int64_t until_ns) {
  std::vector<double> search, mapping, relocation;
  for (std::size_t i = 0; i < kShareRuns && (i == 0 || os::now_ns() < until_ns); ++i) {
    const auto shares = loader_shares(program, places);
    if (!shares) return shares;
    search.push_back(shares->search);
    mapping.push_back(shares->mapping);
    relocation.push_back(shares->relocation);
  }
  const auto median = [](const std::vector<double>& v) { return measure::summarize(v).median; };
  return LoaderShares{median(search), median(mapping), median(relocation)};
}

}  // namespace

void measure_start_steps(Explanation& e) {
  const auto note = [&e](const os::Error& error) {
    e.notes.push_back("its start wasn't measured: " + error.message());
  };
  StartPlaces places;
  places.linked_in_loader = e.image->linked_in_loader;
  places.image_linked = e.image->linked;
  places.image_entry = e.image->entry;
  const auto main = find_main(e.program);
  if (!main) return note(main.error());
  places.main = *main;

  const std::int64_t until_ns = os::now_ns() + kMostNs;
  const auto shares = median_shares(e.program, places, until_ns);
  if (!shares) return note(shares.error());
  Samples stock;
  Samples image;
  const std::string prewarm = find_command();
  for (std::size_t i = 0; i < kPairs && (i == 0 || os::now_ns() < until_ns); ++i) {
    const auto one = trace_stock(e.program, places);
    if (!one) return note(one.error());
    stock.push_back(*one);
    if (e.refusal != image::Refusal::none) continue;
    const auto other = trace_imaged(prewarm, e.program, places);
    if (!other) return note(other.error());
    image.push_back(*other);
  }
  ExplainedTimes times;
  times.starts = stock.size();
  times.until_main = places.main.has_value();
  times.stock = stock_steps(stock, *shares, times.until_main);
  if (!image.empty()) times.image = image_steps(image, times.until_main);
  e.times = times;
}

}  // namespace prewarm::cli
