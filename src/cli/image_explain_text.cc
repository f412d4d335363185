// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/image_explain.h"
#include "measure/page.h"

namespace prewarm::cli {
namespace {

using Json = nlohmann::json;
using image::Refusal;
using measure::time_text;

constexpr std::size_t kMostLines = 40;  // of libraries; JSON has all
constexpr std::size_t kSteps = static_cast<std::size_t>(StartStep::count);

std::string kib(std::uint64_t bytes) { return fmt::format("{} KiB", (bytes + 1023) / 1024); }

std::string cell(const std::optional<measure::Summary>& summary) {
  return summary ? time_text(summary->median) : "-";
}

std::string spread(const measure::Summary& summary) {
  return fmt::format("{} ({} to {})", time_text(summary.median), time_text(summary.first_quartile),
                     time_text(summary.third_quartile));
}

std::string times_text(const ExplainedTimes& times) {
  std::string text = fmt::format("\n{:<44} {:>12} {:>12}\n", "time of its start, median", "stock",
                                 times.image ? "image" : "");
  for (std::size_t i = 0; i < kSteps; ++i) {
    const auto& stock = times.stock.steps[i];
    const auto image = times.image ? times.image->steps[i] : std::nullopt;
    if (!stock && !image) continue;
    text += fmt::format("  {:<42} {:>12} {:>12}\n", text_of(static_cast<StartStep>(i)).label,
                        cell(stock), times.image ? cell(image) : "");
  }
  text += fmt::format(
      "  {:<42} {:>12} {:>12}\n", times.until_main ? "until main" : "until the program's own start",
      time_text(times.stock.total.median), times.image ? time_text(times.image->total.median) : "");
  text += fmt::format("  {} starts of each, by turns; the middle half of all: stock {}",
                      times.starts, spread(times.stock.total));
  if (times.image) text += ", image " + spread(times.image->total);
  return text +
         "\n  Traced processes start by way of ld.so; where `prewarm doctor` says that programs\n"
         "  start directly, an image saves more.\n";
}

std::string libraries_text(const Explanation& e) {
  // Where nothing is packed, why it isn't needs no reason of each.
  const bool is_packed = e.image && e.image->packed > 0;
  std::string text = fmt::format("\n{} libraries, and how each was found:\n", e.libraries.size());
  for (std::size_t i = 0; i < std::min(e.libraries.size(), kMostLines); ++i) {
    const auto& library = e.libraries[i];
    text += fmt::format(
        "  {} ({}){}\n", library.path, library.found_by,
        !is_packed || library.why_kept.empty() ? "" : ", kept as it is: " + library.why_kept);
  }
  if (e.libraries.size() > kMostLines) {
    text += fmt::format("  and {} more (--json has all)\n", e.libraries.size() - kMostLines);
  }
  for (const auto& missing : e.missing) text += "  MISSING: " + missing + "\n";
  return text;
}

std::string image_text(const ExplainedImage& image) {
  return fmt::format(
      "\nits image: {} in memory, made in {:.1f} ms, at {:#x}\n"
      "  {} regions: {} of its own, {} mapped from files\n"
      "  {} of {} libraries packed{}\n"
      "  depends on {} files, and on {} names that are not there (--json has them)\n",
      kib(image.bytes), static_cast<double>(image.build_us) / 1000, image.base, image.regions,
      kib(image.own_bytes), kib(image.file_bytes), image.packed, image.objects,
      image.packed == 0 ? ": that is done from 100 libraries on, or by `image build --pack`" : "",
      image.files.size(), image.absent.size());
}

Json summary_json(const measure::Summary& summary) {
  return {{"median", summary.median},
          {"first_quartile", summary.first_quartile},
          {"third_quartile", summary.third_quartile},
          {"minimum", summary.minimum}};
}

Json way_json(const WayTimes& way) {
  Json steps = Json::object();
  for (std::size_t i = 0; i < kSteps; ++i) {
    if (way.steps[i]) steps[text_of(static_cast<StartStep>(i)).name] = summary_json(*way.steps[i]);
  }
  return {{"total_us", summary_json(way.total)}, {"steps_us", steps}};
}

}  // namespace

const StepText& text_of(StartStep step) {
  static constexpr StepText kTexts[] = {
      {"exec", "the kernel's exec", "#8a8f98"},
      {"asking", "asking for the image, exec of the program", "#b59fd0"},
      {"search", "search: opening and reading files", "#5b8db8"},
      {"mapping", "mapping files", "#74b3a6"},
      {"relocation", "relocation", "#c2657a"},
      {"other", "other work of ld.so", "#b8b08d"},
      {"restoring", "restoring the image", "#e07b39"},
      {"constructors", "constructors of libraries", "#d9b44a"},
      {"rest", "rest until main", "#9aa96b"},
  };
  static_assert(std::size(kTexts) == kSteps);
  return kTexts[static_cast<std::size_t>(step)];
}

std::string explanation_text(const Explanation& e) {
  std::string text = fmt::format(
      "{}: {}{}\n", e.program,
      e.refusal == Refusal::none ? "" : "stock loader: ", image::refusal_sentence(e.refusal));
  for (const auto& note : e.notes) text += "  " + note + "\n";
  if (e.times) text += times_text(*e.times);
  if (e.image) text += image_text(*e.image);
  if (!e.libraries.empty()) text += libraries_text(e);
  return text;
}

std::string explanation_json(const Explanation& e) {
  Json json = {{"program", e.program},
               {"refusal", image::refusal_name(e.refusal)},
               {"sentence", image::refusal_sentence(e.refusal)},
               {"notes", e.notes},
               {"libraries", Json::array()},
               {"missing", e.missing}};
  for (const auto& library : e.libraries) {
    Json one = {{"path", library.path},
                {"needed_by", library.needed_by},
                {"found_by", library.found_by},
                {"can_be_packed", library.why_kept.empty()}};
    if (!library.why_kept.empty()) one["why_kept"] = library.why_kept;
    json["libraries"].push_back(std::move(one));
  }
  if (e.image) {
    json["image"] = {{"bytes", e.image->bytes},           {"own_bytes", e.image->own_bytes},
                     {"file_bytes", e.image->file_bytes}, {"regions", e.image->regions},
                     {"libraries", e.image->objects},     {"packed", e.image->packed},
                     {"build_us", e.image->build_us},     {"base", e.image->base},
                     {"files", e.image->files},           {"absent", e.image->absent}};
  }
  if (e.times) {
    json["times"] = {{"starts", e.times->starts},
                     {"until", e.times->until_main ? "main" : "entry"},
                     {"stock", way_json(e.times->stock)}};
    if (e.times->image) json["times"]["image"] = way_json(*e.times->image);
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace prewarm::cli
