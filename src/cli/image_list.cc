// SPDX-License-Identifier: MIT
//
// `prewarm image ls`, `verify`, `gc`, `rm`.
#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/image_entry.h"
#include "cli/image_known.h"
#include "cli/image_service.h"
#include "image/image.h"
#include "image/memfd.h"
#include "image/wire.h"

namespace prewarm::cli {
namespace {

using Json = nlohmann::json;
using image::Refusal;

int fail(const char* doing, const os::Error& error) {
  complain(fmt::format("image: can't {}: {}", doing, error.message()));
  return EXIT_FAILURE;
}

void print(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

std::string bytes_text(std::uint64_t bytes) {
  constexpr std::uint64_t kMib = 1 << 20;
  if (bytes >= 10 * kMib) return fmt::format("{} MiB", bytes / kMib);
  return fmt::format("{} KiB", (bytes + 1023) / 1024);
}

std::string age_text(std::uint64_t seconds) {
  if (seconds < 120) return fmt::format("{} s ago", seconds);
  if (seconds < 7200) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86'400);
}

const char* state_of(const KnownImage& known) {
  if (!known.is_hot) return "on disk";
  return known.references > 0 ? "in use" : "in memory";
}

// What is preloaded is the agent: the program is to be parked.
std::string program_text(const std::string& program, const std::string& preloaded) {
  return preloaded.empty() ? program : program + " (for parking)";
}

std::string sentence_of(const std::string& name) {
  for (std::uint32_t i = 0; i < static_cast<std::uint32_t>(Refusal::count); ++i) {
    const auto refusal = static_cast<Refusal>(i);
    if (image::refusal_name(refusal) == name) return std::string(image::refusal_sentence(refusal));
  }
  return name;
}

Json to_json(const KnownImage& known) {
  Json json = {{"program", known.program},
               {"bytes", known.bytes},
               {"stored_bytes", known.stored},
               {"state", state_of(known)}};
  if (!known.preloaded.empty()) json["preloaded"] = known.preloaded;
  if (known.unused_seconds) json["unused_seconds"] = *known.unused_seconds;
  if (!known.is_hot) return json;
  json["libraries"] = known.libraries;
  json["packed"] = known.packed;
  json["regions"] = known.regions;
  json["references"] = known.references;
  json["served"] = known.served;
  json["stack_limit"] = known.stack_limit;
  return json;
}

void print_table(const KnownImages& known) {
  if (known.images.empty() && known.failures.empty()) {
    fmt::print("no images{}\n", known.has_service ? "" : " (the loader service isn't running)");
    return;
  }
  fmt::print("{:>9} {:>6} {:>10} {:>10} {:>4}  {:<12} {:<9}  {}\n", "LIBRARIES", "PACKED", "MEMORY",
             "DISK", "REFS", "LAST USED", "STATE", "PROGRAM");
  for (const KnownImage& image : known.images) {
    const auto number = [&](std::uint64_t value) {
      return image.is_hot ? std::to_string(value) : "-";
    };
    fmt::print("{:>9} {:>6} {:>10} {:>10} {:>4}  {:<12} {:<9}  {}\n", number(image.libraries),
               number(image.packed), bytes_text(image.bytes),
               image.stored == 0 ? "-" : bytes_text(image.stored), number(image.references),
               image.unused_seconds ? age_text(*image.unused_seconds) : "-", state_of(image),
               program_text(image.program, image.preloaded));
  }
  for (const KnownFailure& failure : known.failures) {
    if (failure.refusal == image::refusal_name(Refusal::not_worth_it)) continue;
    fmt::print("{:>9} {:>6} {:>10} {:>10} {:>4}  {:<12} {:<9}  {}: {}\n", "-", "-", "-", "-", "-",
               "-", "refused", program_text(failure.program, failure.preloaded),
               sentence_of(failure.refusal));
  }
}

// One image that has been looked at.
struct Checked {
  std::string program;
  std::string where;  // "memory", or its file
  std::string wrong;  // empty: nothing
};

// Checks all of it, as a reader that trusts nothing.
std::string what_is_wrong(const GivenImage& given) {
  const auto mapping = image::Mapping::of(given.image);
  if (!mapping) return mapping.error().message();
  const auto opened = image::Image::open(mapping->bytes());
  return opened ? "" : opened.error().message();
}

// One that leaves memory meanwhile isn't an error.
std::optional<Checked> check_hot(const KnownImage& known) {
  const std::uint32_t flags = known.packed > 0 ? image::kMapPack : image::kMapDoNotPack;
  const auto given =
      ask_for_image(known.program,
                    {.flags = flags, .stack_limit = known.stack_limit, .preload = known.preloaded});
  if (given) return Checked{known.program, "memory", what_is_wrong(*given)};
  if (given.error() == Refusal::no_image || given.error() == Refusal::being_built) return {};
  return Checked{known.program, "memory", std::string(image::refusal_sentence(given.error()))};
}

os::Result<std::vector<Checked>> check_stored() {
  std::vector<Checked> result;
  const auto store = open_store();
  if (!store && store.error().code == ENOENT) return result;
  if (!store) return std::unexpected(store.error());
  const auto verified = store->verify();
  if (!verified) return std::unexpected(verified.error());
  for (const auto& one : *verified) {
    result.push_back({one.entry ? one.entry->program : "?", store->directory() + "/" + one.name,
                      one.state ? "" : one.state.error().message()});
  }
  return result;
}

os::Result<std::vector<Checked>> check_all() {
  const auto known = known_images();
  if (!known) return std::unexpected(known.error());
  auto result = check_stored();
  if (!result) return result;
  for (const KnownImage& image : known->images) {
    if (!image.is_hot) continue;
    if (auto checked = check_hot(image)) result->push_back(std::move(*checked));
  }
  return result;
}

os::Result<std::uint64_t> remove_stored(const std::string& program) {
  auto store = open_store();
  if (!store && store.error().code == ENOENT) return 0;
  if (!store) return std::unexpected(store.error());
  const auto listed = store->list();
  if (!listed) return std::unexpected(listed.error());
  std::uint64_t count = 0;
  for (const auto& entry : *listed) {
    if (entry.program != program) continue;
    const auto removed = store->remove(entry.key);
    if (!removed) return std::unexpected(removed.error());
    if (*removed) ++count;
  }
  return count;
}

os::Result<std::uint64_t> remove_images(const std::string& program) {
  auto service = find_running_service();
  if (!service) return std::unexpected(service.error());
  if (!*service) return remove_stored(program);
  const auto said = (*service)->remove(program);
  if (!said) return std::unexpected(said.error());
  return said->count;
}

os::Result<std::uint64_t> collect() {
  auto service = find_running_service();
  if (!service) return std::unexpected(service.error());
  if (*service) {
    const auto said = (*service)->collect_garbage();
    if (!said) return std::unexpected(said.error());
    return said->count;
  }
  auto store = open_store();
  if (!store && store.error().code == ENOENT) return 0;
  if (!store) return std::unexpected(store.error());
  const auto collected = store->collect();
  if (!collected) return std::unexpected(collected.error());
  return collected->leftovers + collected->unusable + collected->evicted;
}

void report_count(std::uint64_t count, const char* done, bool json) {
  if (json) {
    print({{"count", count}});
  } else {
    fmt::print("{} {} {}\n", count, count == 1 ? "image" : "images", done);
  }
}

}  // namespace

int image_list(bool json) {
  const auto known = known_images();
  if (!known) return fail("list images", known.error());
  if (!json) {
    print_table(*known);
    return EXIT_SUCCESS;
  }
  Json result = {
      {"service", known->has_service}, {"images", Json::array()}, {"refusals", Json::array()}};
  for (const KnownImage& image : known->images) result["images"].push_back(to_json(image));
  for (const KnownFailure& failure : known->failures) {
    result["refusals"].push_back({{"program", failure.program},
                                  {"preloaded", failure.preloaded},
                                  {"refusal", failure.refusal},
                                  {"sentence", sentence_of(failure.refusal)}});
  }
  print(result);
  return EXIT_SUCCESS;
}

int image_verify(const std::string& program, bool json) {
  auto checked = check_all();
  if (!checked) return fail("check images", checked.error());
  if (!program.empty()) {
    const std::string wanted = real_path(find_real_program(program));
    std::erase_if(*checked, [&](const Checked& one) { return one.program != wanted; });
    if (checked->empty()) {
      complain(program + ": there is no image of it");
      return EXIT_FAILURE;
    }
  }
  Json images = Json::array();
  for (const Checked& one : *checked) {
    if (!json) {
      fmt::print("{:<4} {} ({}){}\n", one.wrong.empty() ? "ok" : "BAD", one.program, one.where,
                 one.wrong.empty() ? "" : ": " + one.wrong);
      continue;
    }
    images.push_back({{"program", one.program}, {"where", one.where}, {"ok", one.wrong.empty()}});
    if (!one.wrong.empty()) images.back()["error"] = one.wrong;
  }
  if (json) print({{"images", images}});
  if (!json && checked->empty()) fmt::print("no images\n");
  const bool all_good =
      std::ranges::all_of(*checked, [](const Checked& one) { return one.wrong.empty(); });
  return all_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int image_collect_garbage(bool json) {
  const auto count = collect();
  if (!count) return fail("collect garbage", count.error());
  report_count(*count, "released or removed", json);
  return EXIT_SUCCESS;
}

int image_remove(const std::string& program, bool json) {
  // A program that is gone may have left images.
  const std::string found = find_real_program(program);
  const std::string path = real_path(found.empty() ? program : found);
  const auto count = remove_images(path);
  if (!count) return fail(("remove the images of " + path).c_str(), count.error());
  if (*count == 0) {
    complain(path + ": there is no image of it");
    return EXIT_FAILURE;
  }
  report_count(*count, "removed", json);
  return EXIT_SUCCESS;
}

}  // namespace prewarm::cli
