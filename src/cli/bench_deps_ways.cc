// SPDX-License-Identifier: MIT
#include "cli/bench_deps_ways.h"

#include <algorithm>

#include "os/clock.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

// This very command, whatever has become of its file meanwhile.
constexpr const char* kSelf = "/proc/self/exe";

os::Result<DepsStart> prepare_stock(const DepsSubject& subject) {
  return DepsStart{.words = {subject.set.program}};
}

os::Result<DepsStart> prepare_bind_now(const DepsSubject& subject) {
  return DepsStart{.words = {subject.set.program}, .environment = {{"LD_BIND_NOW", "1"}}};
}

os::Result<DepsStart> prepare_musl(const DepsSubject& subject) {
  const auto set = make_deps(subject.closure, DepsLibc::musl, subject.cache);
  if (!set) return std::unexpected(set.error());
  return DepsStart{.words = {set->program}};
}

os::Result<DepsStart> prepare_static(const DepsSubject& subject) {
  if (subject.set.all_in_one.empty()) {
    return os::failed_with(0, "link the static program", subject.set.lacking);
  }
  return DepsStart{.words = {subject.set.all_in_one}};
}

os::Result<DepsStart> prepare_image(const DepsSubject& subject, const char* name,
                                    const char* packing) {
  const std::string file = subject.set.directory + "/" + name + ".image";
  Command build(kSelf);
  build.argv0("prewarm").args({"image", "build", packing, "--output", file, subject.set.program});
  const std::int64_t began = os::now_ns();
  const auto built = build.capture();
  const std::int64_t ended = os::now_ns();
  if (!built) return std::unexpected(built.error());
  if (!built->success()) {
    std::string why = built->err.substr(0, built->err.find('\n'));
    if (why.empty()) why = built->status.message();
    return os::failed_with(0, "build the image:", why);
  }
  return DepsStart{.words = {kSelf, "exec", "--image", file, subject.set.program},
                   .build_us = static_cast<double>(ended - began) / 1e3};
}

os::Result<DepsStart> prepare_unpacked(const DepsSubject& subject) {
  return prepare_image(subject, "image", "--no-pack");
}

os::Result<DepsStart> prepare_packed(const DepsSubject& subject) {
  return prepare_image(subject, "packed", "--pack");
}

constexpr DepsWayKind kKinds[] = {
    {"stock", "stock", false, prepare_stock},
    {"bind-now", "stock, bind now", false, prepare_bind_now},
    {"musl", "musl", false, prepare_musl},
    {"static", "static", false, prepare_static},
    {"image", "image", true, prepare_unpacked},
    {"packed", "packed image", true, prepare_packed},
};

}  // namespace

std::span<const DepsWayKind> deps_way_kinds() { return kKinds; }

const DepsWayKind* find_deps_way(std::string_view name) {
  const auto* found = std::ranges::find(kKinds, name, &DepsWayKind::name);
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace prewarm::cli
