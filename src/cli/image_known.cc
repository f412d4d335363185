// SPDX-License-Identifier: MIT
#include "cli/image_known.h"

#include <errno.h>
#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstdlib>

#include "os/clock.h"

namespace prewarm::cli {
namespace {

using Json = nlohmann::json;

// As the service names stored images, see image/store_shelf.h.
std::string stored_name(const image::ImageKey& key) {
  return fmt::format("{:016x}-{:016x}", key[0], key[1]);
}

KnownImage from_service(const Json& json) {
  KnownImage known;
  known.program = json.value("program", "");
  known.preloaded = json.value("preloaded", "");
  known.bytes = json.value("bytes", std::uint64_t{0});
  known.is_hot = true;
  known.libraries = json.value("objects", std::uint64_t{0});
  known.packed = json.value("packed", std::uint64_t{0});
  known.regions = json.value("regions", std::uint64_t{0});
  known.stack_limit = json.value("stack_limit", std::uint64_t{0});
  known.references = json.value("references", std::uint64_t{0});
  known.served = json.value("served", std::uint64_t{0});
  known.unused_seconds = json.value("unused_seconds", std::uint64_t{0});
  return known;
}

KnownImage from_store(const image::StoredEntry& entry) {
  KnownImage known;
  known.program = entry.program;
  known.bytes = entry.image_bytes;
  known.stored = entry.stored_bytes;
  const std::int64_t age = os::now_ns(CLOCK_REALTIME) - entry.last_used_ns;
  known.unused_seconds = static_cast<std::uint64_t>(std::max<std::int64_t>(age, 0)) /
                         static_cast<std::uint64_t>(os::kNsPerSecond);
  return known;
}

os::Result<void> add_service(KnownImages& known, std::vector<image::StoredEntry>& stored) {
  auto service = find_running_service();
  if (!service) return std::unexpected(service.error());
  if (!*service) return {};
  const auto said = (*service)->list();
  if (!said) return std::unexpected(said.error());
  const Json list = Json::parse(said->text, nullptr, false);
  if (!list.is_object()) return os::failed_with(EPROTO, "read the loader service's list");
  known.has_service = true;
  for (const Json& json : list.value("images", Json::array())) {
    known.images.push_back(from_service(json));
    const std::string name = json.value("stored_as", "");
    const auto at = std::ranges::find_if(
        stored, [&](const auto& entry) { return stored_name(entry.key) == name; });
    if (at == stored.end()) continue;
    known.images.back().stored = at->stored_bytes;
    stored.erase(at);
  }
  for (const Json& json : list.value("failures", Json::array())) {
    known.failures.push_back(
        {json.value("program", ""), json.value("preloaded", ""), json.value("refusal", "")});
  }
  return {};
}

}  // namespace

os::Result<image::Store> open_store() {
  const std::string directory =
      image::store_directory(std::getenv("XDG_CACHE_HOME"), std::getenv("HOME"));
  if (directory.empty()) return os::failed_with(ENOENT, "find the store of images");
  return image::Store::open(directory);
}

os::Result<std::optional<image::ServiceClient>> find_running_service() {
  auto service = image::ServiceClient::connect();
  if (service) return std::optional(std::move(*service));
  const int code = service.error().code;
  if (code == ENOENT || code == ECONNREFUSED) return std::nullopt;
  return std::unexpected(service.error());
}

os::Result<KnownImages> known_images() {
  KnownImages known;
  std::vector<image::StoredEntry> stored;
  if (const auto store = open_store()) {
    auto listed = store->list();
    if (!listed) return std::unexpected(listed.error());
    stored = std::move(*listed);
  } else if (store.error().code != ENOENT) {
    return std::unexpected(store.error());
  }
  if (const auto added = add_service(known, stored); !added) return std::unexpected(added.error());
  for (const auto& entry : stored) known.images.push_back(from_store(entry));
  std::ranges::stable_sort(known.images, {}, &KnownImage::program);
  return known;
}

std::string real_path(const std::string& program) {
  char real[PATH_MAX];
  return ::realpath(program.c_str(), real) == nullptr ? program : real;
}

}  // namespace prewarm::cli
