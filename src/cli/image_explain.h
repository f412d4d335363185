// SPDX-License-Identifier: MIT
//
// `prewarm image explain`: what a program is linked with, what of that an image has or why there is
// none, and where the time of its start goes, stock and from the image.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "image/refusal.h"
#include "measure/stats.h"
#include "os/fd.h"

namespace prewarm::cli {

struct ExplainOptions {
  std::string program;
  std::string html;  // --html FILE
  bool json = false;
};

int image_explain(const ExplainOptions& options);

// The steps of a start, in their order.
enum class StartStep : std::uint8_t {
  exec,
  asking,
  search,
  mapping,
  relocation,
  other,
  restoring,
  constructors,
  rest,
  count,
};
struct StepText {
  const char* name;    // in JSON
  const char* label;   // for people
  const char* colour;  // in the picture
};
const StepText& text_of(StartStep step);

// Of one way to start it, in µs.
struct WayTimes {
  std::optional<measure::Summary> steps[static_cast<int>(StartStep::count)];
  measure::Summary total;
};

struct ExplainedTimes {
  WayTimes stock;
  std::optional<WayTimes> image;
  std::size_t starts = 0;  // of each, by turns
  bool until_main = true;  // false: until the program's own start
};

struct ExplainedLibrary {
  std::string path;
  std::string needed_by;
  const char* found_by;
  std::string why_kept;  // why it can't be packed; empty: it can
};

struct ExplainedImage {
  std::uint64_t bytes = 0, own_bytes = 0, file_bytes = 0;  // all; of its regions; mapped from files
  std::uint64_t regions = 0, objects = 0, packed = 0, build_us = 0;
  std::uint64_t base = 0;                                     // lowest address
  std::vector<std::string> files;                             // that it depends on
  std::vector<std::string> absent;                            // that must not appear
  std::uint64_t linked = 0, entry = 0, linked_in_loader = 0;  // see StartPlaces
};

struct Explanation {
  std::string program;
  image::Refusal refusal = image::Refusal::none;
  std::vector<std::string> notes;  // what couldn't be found out, and why
  std::vector<ExplainedLibrary> libraries;
  std::vector<std::string> missing;
  std::optional<ExplainedImage> image;
  std::optional<ExplainedTimes> times;
};

// image_explain_times.cc. Notes go to `explanation`.
void measure_start_steps(Explanation& explanation);

std::string explanation_text(const Explanation& explanation);
std::string explanation_json(const Explanation& explanation);
std::string explanation_html(const Explanation& explanation);

}  // namespace prewarm::cli
