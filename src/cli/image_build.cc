// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <thread>

#include "cli/commands.h"
#include "cli/image.h"
#include "cli/image_entry.h"
#include "cli/image_known.h"
#include "cli/image_service.h"
#include "image/build.h"
#include "image/eligible.h"
#include "image/image.h"
#include "image/memfd.h"
#include "image/wire.h"
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

// Says on a terminal that it takes time, until it is gone.
class Progress {
 public:
  explicit Progress(const std::string& program) {
    if (::isatty(STDERR_FILENO) != 1) return;
    thread_ = std::jthread([this, program](const std::stop_token& stop) { show(stop, program); });
  }

 private:
  void show(const std::stop_token& stop, const std::string& program) {
    bool shown = false;
    std::unique_lock lock(mutex_);
    for (int seconds = 1;
         !over_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; }); ++seconds) {
      if (stop.stop_requested()) break;
      fmt::print(stderr, "\rmaking the image of {}: {} s ", program, seconds);
      shown = true;
    }
    if (shown) fmt::print(stderr, "\r\x1b[K");
  }

  std::mutex mutex_;
  std::condition_variable_any over_;
  std::jthread thread_;  // the last: it uses the others
};

// What somebody can do about it; empty: nothing is known.
const char* advice(Refusal refusal) {
  switch (refusal) {
    case Refusal::no_service:
      return "; `prewarmd` says why it doesn't serve";
    case Refusal::not_linked:
      return "; does it start by itself? `prewarm image build --output FILE` says where it stopped";
    case Refusal::cannot_trace:
      return "; `prewarm doctor` says why";
    case Refusal::no_memory:
      return "; `prewarm image gc` makes room";
    case Refusal::build_failed:
    case Refusal::not_understood:
    case Refusal::unusual_start:
      return "; `prewarm image build --output FILE` says more";
    default:
      return "";
  }
}

int refuse(const std::string& path, Refusal refusal) {
  complain(
      fmt::format("{}: no image: {}{}", path, image::refusal_sentence(refusal), advice(refusal)));
  return kFailed;
}

// By the service, which keeps it.
int have_built(const ImageBuildOptions& options, const std::string& path) {
  if (const Refusal refusal = image::check_program(path); refusal != Refusal::none) {
    return refuse(path, refusal);
  }
  if (const auto service = have_service(); !service) {
    complain(path + ": no image: can't start the loader service: " + service.error().message());
    return kFailed;
  }
  std::uint32_t flags = image::kMapBuild | image::kMapWait;
  if (options.packing == image::Packing::always) flags |= image::kMapPack;
  if (options.packing == image::Packing::never) flags |= image::kMapDoNotPack;
  std::expected<GivenImage, Refusal> given;
  {
    const Progress progress(path);
    given = ask_for_image(path, {.flags = flags});
  }
  if (!given) return refuse(path, given.error());
  report(options, path, given->image);
  return 0;
}

// Here, into a file or a descriptor.
int build_here(const ImageBuildOptions& options, const std::string& path) {
  image::BuildOptions build;
  build.packing = options.packing;
  build.preload = options.preload;
  const auto made = image::build_image(path, build);
  if (!made) {
    const auto& failure = made.error();
    complain(fmt::format("{}: no image: {} ({})", path, image::refusal_sentence(failure.refusal),
                         failure.error.message()));
    return options.to_descriptor >= 0 ? kRefused + static_cast<int>(failure.refusal) : kFailed;
  }
  if (options.to_descriptor >= 0) {
    if (copy(*made, options.to_descriptor)) return 0;
    return kRefused + static_cast<int>(Refusal::no_memory);
  }
  if (!write_file(*made, options.output)) {
    complain("can't write " + options.output + ": " + std::strerror(errno));
    return kFailed;
  }
  report(options, path, *made);
  return 0;
}

}  // namespace

int image_build(const ImageBuildOptions& options) {
  const std::string found = find_real_program(options.program);
  if (found.empty()) {
    complain(options.program + ": there is no such program");
    return options.to_descriptor >= 0 ? kRefused + static_cast<int>(Refusal::not_found) : kFailed;
  }
  const std::string path = real_path(found);
  if (options.to_descriptor < 0 && options.output.empty()) return have_built(options, path);
  return build_here(options, path);
}

}  // namespace prewarm::cli
