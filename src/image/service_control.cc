// SPDX-License-Identifier: MIT
//
// What people ask the service, see ControlRequest.
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "image/image_shelf.h"
#include "image/service.h"
#include "image/service_state.h"

namespace prewarm::image {
namespace {

using Json = nlohmann::json;

// Paths are any bytes.
std::string print(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

bool Service::take_control(Connection& connection, std::string_view bytes) {
  ControlRequest request;
  if (!take_head(bytes, request) || request.version != kMapVersion ||
      bytes.size() != request.path_bytes) {
    return false;
  }
  if (connection.refused != Refusal::none) return false;
  switch (request.kind) {
    case ControlKind::list:
      return answer_control(connection, entries_.size(), describe());
    case ControlKind::gc: {
      std::uint64_t count = release_unused();
      if (options_.shelf != nullptr) count += options_.shelf->collect_garbage();
      return answer_control(connection, count, {});
    }
    case ControlKind::remove:
      return answer_control(connection, forget_program(std::string(bytes)), {});
    case ControlKind::stop:
      stopping_ = true;
      return answer_control(connection, entries_.size(), {});
  }
  return false;
}

bool Service::answer_control(Connection& connection, std::uint64_t count, const std::string& text) {
  ControlAnswer answer;
  answer.count = count;
  os::Fd memfd;
  if (!text.empty()) {
    auto made = sealed_memfd("prewarm-text",
                             {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    if (!made) return false;
    memfd = std::move(*made);
    answer.descriptors = 1;
  }
  const int fd = memfd.get();
  const std::span<const int> descriptors(&fd, answer.descriptors);
  return send_packet(connection.socket.get(), as_bytes(answer), descriptors, MSG_DONTWAIT) == 0;
}

std::string Service::describe() const {
  Json images = Json::array();
  for (const auto& [id, entry] : entries_) {
    const ImageHeader& header = entry->image.header();
    images.push_back({{"program", entry->image.program()},
                      {"preloaded", entry->image.preloaded()},
                      {"bytes", entry->image.memory_bytes()},
                      {"regions", header.regions.count},
                      {"files", header.files.count},
                      {"objects", header.objects},
                      {"packed", header.packed},
                      {"stack_limit", header.conditions.stack_limit},
                      {"references", entry->references},
                      {"served", entry->served},
                      {"unused_seconds", (now_ - entry->used) / os::kNsPerSecond},
                      {"watched", entry->watched},
                      {"stored_as", entry->stored_as}});
  }
  Json failures = Json::array();
  failures_.for_each([&](const MapTarget& target, Refusal refusal) {
    failures.push_back({{"program", target.path},
                        {"preloaded", target.preload},
                        {"refusal", refusal_name(refusal)}});
  });
  Json refusals = Json::object();
  for (const auto& [refusal, count] : counters_.refusals) {
    refusals[std::string(refusal_name(refusal))] = count;
  }
  return print({{"pid", ::getpid()},
                {"images", images},
                {"hot_bytes", hot_bytes_},
                {"references", references_.size()},
                {"connections", connections_.size()},
                {"jobs", jobs_.size()},
                {"watches", watch_->watches()},
                {"memory_pressure_watched", pressure_.valid()},
                {"served", counters_.served},
                {"builds", counters_.builds},
                {"stale", counters_.stale},
                {"store_failures", counters_.store_failures},
                {"refusals", refusals},
                {"failures", failures},
                {"sandbox",
                 {{"no_new_privs", sandbox_.no_new_privileges},
                  {"landlock", sandbox_.landlock},
                  {"tcp_denied", sandbox_.network_denied},
                  {"signals_scoped", sandbox_.signals_scoped},
                  {"seccomp", sandbox_.seccomp},
                  {"notes", sandbox_.notes}}}});
}

// Also what is on the disk, and what is known of failures.
std::uint64_t Service::forget_program(const std::string& path) {
  std::vector<Id> found;
  for (const auto& [id, entry] : entries_) {
    if (entry->image.program() == path) found.push_back(id);
  }
  std::uint64_t count = found.size();
  if (options_.shelf != nullptr) {
    const auto names = options_.shelf->find(path);
    count += names.size();
    for (const std::string& name : names) options_.shelf->remove(name);
  }
  for (const Id id : found) forget(id);
  failures_.forget_program(path);
  return count;
}

}  // namespace prewarm::image
