// SPDX-License-Identifier: MIT
#include "cli/image_explain.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cli/commands.h"
#include "cli/image_entry.h"
#include "cli/image_known.h"
#include "cli/image_service.h"
#include "image/closure.h"
#include "image/diagnostics.h"
#include "image/eligible.h"
#include "image/image.h"
#include "image/library_file.h"
#include "image/memfd.h"
#include "image/pack_plan.h"
#include "image/wire.h"

namespace prewarm::cli {
namespace {

using image::Refusal;

void explain_closure(Explanation& e) {
  const auto facts = image::ask_loader(image::kLoaderPath);
  if (!facts) return e.notes.push_back("its libraries: " + facts.error().message());
  const auto cache_file = image::MappedFile::open(image::kLibraryCachePath);
  image::Diagnostics diagnostics;
  std::optional<image::LibraryCache> cache;
  if (cache_file) cache = image::LibraryCache::read(cache_file->bytes(), *facts, diagnostics);
  const auto closure = image::resolve_closure({e.program, {}, &*facts, cache ? &*cache : nullptr},
                                              image::FileReader());
  if (!closure) return e.notes.push_back("its libraries: " + closure.error().message());
  auto program = image::open_library(e.program);
  if (!program) return e.notes.push_back("its libraries: " + program.error().message());
  image::PackPlan plan(*program, false);
  for (const auto& object : closure->objects) {
    if (object.found_by == image::FoundBy::program) continue;
    ExplainedLibrary library;
    library.path = object.path;
    library.needed_by = closure->objects[object.needed_by].path;
    library.found_by = image::name_of(object.found_by);
    if (!plan.is_packed(object.path)) library.why_kept = plan.kept().at(object.path);
    e.libraries.push_back(std::move(library));
  }
  for (const auto& missing : closure->missing) {
    e.missing.push_back(missing.name + ", needed by " + closure->objects[missing.needed_by].path);
  }
}

ExplainedImage describe(const image::Image& image) {
  const auto& header = image.header();
  ExplainedImage result;
  result.bytes = header.total_bytes;
  result.regions = header.regions.count;
  result.objects = header.objects;
  result.packed = header.packed;
  result.build_us = header.build_us;
  result.base = header.arena_begin;
  result.linked = header.start;
  result.entry = header.entry;
  result.linked_in_loader = header.start - header.loader_base;
  for (const auto& region : image.regions()) {
    const bool from_file =
        region.source != image::kSourceImage && region.source != image::kSourceZeros;
    (from_file ? result.file_bytes : result.own_bytes) += region.size;
  }
  for (const auto& file : image.files()) {
    const bool absent = (file.flags & image::kFileAbsent) != 0;
    (absent ? result.absent : result.files).emplace_back(image.path(file));
  }
  return result;
}

// From the service, which makes it if need be.
void explain_image(Explanation& e) {
  e.refusal = image::check_program(e.program);
  if (e.refusal != Refusal::none) return;
  if (const auto service = have_service(); !service) e.notes.push_back(service.error().message());
  const auto given = ask_for_image(e.program, {.flags = image::kMapBuild | image::kMapWait});
  e.refusal = given ? check_conditions(*given) : given.error();
  if (!given) return;
  const auto mapping = image::Mapping::of(given->image);
  if (!mapping) return e.notes.push_back(mapping.error().message());
  const auto opened = image::Image::open(mapping->bytes());
  if (!opened) return e.notes.push_back(opened.error().message());
  e.image = describe(*opened);
}

bool write_html(const std::string& path, const std::string& html) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << html;
  file.close();
  return !file.fail();
}

}  // namespace

int image_explain(const ExplainOptions& options) {
  const std::string found = find_real_program(options.program);
  if (found.empty()) {
    complain(options.program + ": there is no such program");
    return EXIT_FAILURE;
  }
  Explanation explanation;
  explanation.program = real_path(found);
  explain_image(explanation);
  const Refusal refusal = explanation.refusal;
  const bool is_dynamic = refusal != Refusal::not_elf && refusal != Refusal::static_program &&
                          refusal != Refusal::not_found && refusal != Refusal::other_loader;
  if (is_dynamic) explain_closure(explanation);
  if (explanation.image) measure_start_steps(explanation);
  fmt::print("{}", options.json ? explanation_json(explanation) : explanation_text(explanation));
  if (!options.html.empty() && !write_html(options.html, explanation_html(explanation))) {
    complain("can't write " + options.html + ": " + std::strerror(errno));
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace prewarm::cli
