// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/locate.h"
#include "image/build.h"
#include "image/image.h"
#include "image/memfd.h"
#include "os/fd.h"

namespace prewarm::cli {
namespace {

using image::Refusal;

// Its status when an image is refused, for the service; see image/spawner.h.
constexpr int kRefused = 64;
constexpr int kFailed = 1;

bool copy(const os::Fd& from, int to) {
  struct stat s{};
  if (::fstat(from.get(), &s) != 0) return false;
  off_t at = 0;
  while (at < s.st_size) {
    if (::sendfile(to, from.get(), &at, static_cast<std::size_t>(s.st_size - at)) <= 0)
      return false;
  }
  return true;
}

// In a file of its own first, which then takes the name.
bool write_file(const os::Fd& image, const std::string& path) {
  std::string temporary = path + ".XXXXXX";
  const os::Fd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return false;
  if (copy(image, file.get()) && ::rename(temporary.c_str(), path.c_str()) == 0) return true;
  const int error = errno;
  ::unlink(temporary.c_str());
  errno = error;
  return false;
}

void report(const ImageBuildOptions& options, const std::string& program, const os::Fd& made) {
  const auto mapping = image::Mapping::of(made);
  if (!mapping) return;
  const auto opened = image::Image::open(mapping->bytes());
  if (!opened) return;
  const auto& header = opened->header();
  if (options.json) {
    const nlohmann::json json = {{"program", program},
                                 {"bytes", header.total_bytes},
                                 {"regions", header.regions.count},
                                 {"libraries", header.objects},
                                 {"packed", header.packed},
                                 {"build_us", header.build_us}};
    fmt::print("{}\n", json.dump());
    return;
  }
  fmt::print("{}: {} libraries ({} packed) in {} regions, {} KiB, made in {:.1f} ms\n", program,
             header.objects, header.packed, header.regions.count, header.total_bytes / 1024,
             static_cast<double>(header.build_us) / 1000);
}

}  // namespace

int image_build(const ImageBuildOptions& options) {
  std::array<char, PATH_MAX> path{};
  const std::string found = find_on_path(options.program);
  if (found.empty() || ::realpath(found.c_str(), path.data()) == nullptr) {
    complain(options.program + ": there is no such program");
    return options.to_descriptor >= 0 ? kRefused + static_cast<int>(Refusal::not_found) : kFailed;
  }
  image::BuildOptions build;
  build.packing = options.packing;
  const auto made = image::build_image(path.data(), build);
  if (!made) {
    const auto& failure = made.error();
    complain(fmt::format("{}: no image: {} ({})", path.data(),
                         image::refusal_sentence(failure.refusal), failure.error.message()));
    return options.to_descriptor >= 0 ? kRefused + static_cast<int>(failure.refusal) : kFailed;
  }
  if (options.to_descriptor >= 0) {
    if (copy(*made, options.to_descriptor)) return 0;
    return kRefused + static_cast<int>(Refusal::no_memory);
  }
  if (!options.output.empty() && !write_file(*made, options.output)) {
    complain("can't write " + options.output + ": " + std::strerror(errno));
    return kFailed;
  }
  report(options, path.data(), *made);
  return 0;
}

}  // namespace prewarm::cli
