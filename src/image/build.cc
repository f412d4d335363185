// SPDX-License-Identifier: MIT
#include "image/build.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "image/capture.h"
#include "image/closure.h"
#include "image/diagnostics.h"
#include "image/eligible.h"
#include "image/library_cache.h"
#include "image/loader_facts.h"
#include "image/mapped_file.h"
#include "image/pack.h"
#include "image/patches.h"
#include "image/writer.h"

namespace prewarm::image {
namespace {

using os::Result;
using Clock = std::chrono::steady_clock;

std::int64_t nanoseconds(const timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; }

// The files that an image depends on, each once.
class Files {
 public:
  // Its index.
  Result<std::uint32_t> add(const std::string& path, std::uint32_t flags) {
    struct stat s{};
    if (::stat(path.c_str(), &s) != 0) return os::failed("look at", path);
    const auto [known, is_new] = by_identity_.emplace(std::pair(s.st_dev, s.st_ino),
                                                      static_cast<std::uint32_t>(parts_.size()));
    if (is_new) {
      FilePart part;
      part.path = path;
      part.file.device = s.st_dev;
      part.file.inode = s.st_ino;
      part.file.size = static_cast<std::uint64_t>(s.st_size);
      part.file.modified_ns = nanoseconds(s.st_mtim);
      part.file.changed_ns = nanoseconds(s.st_ctim);
      parts_.push_back(std::move(part));
    }
    parts_[known->second].file.flags |= flags;
    return known->second;
  }

  void add_absent(const std::string& path) {
    FilePart part;
    part.path = path;
    part.file.flags = kFileAbsent;
    parts_.push_back(std::move(part));
  }

  std::size_t mapped() const {
    return static_cast<std::size_t>(std::count_if(parts_.begin(), parts_.end(), [](const auto& p) {
      return (p.file.flags & kFileMapped) != 0;
    }));
  }
  std::vector<FilePart> take() { return std::move(parts_); }

 private:
  std::vector<FilePart> parts_;
  std::map<std::pair<dev_t, ino_t>, std::uint32_t> by_identity_;
};

Result<Files> collect_files(const std::string& path, const Capture& capture) {
  Files files;
  if (auto added = files.add(path, kFileProgram); !added) return std::unexpected(added.error());
  for (const auto& region : capture.regions) {
    if (region.address != capture.loader_base || region.file.empty()) continue;
    if (auto added = files.add(region.file, kFileLoader); !added) {
      return std::unexpected(added.error());
    }
  }
  for (const auto& opened : capture.files_opened) {
    if (auto added = files.add(opened, 0); !added) return std::unexpected(added.error());
  }
  std::vector<std::string> absent = capture.files_absent;
  std::sort(absent.begin(), absent.end());
  absent.erase(std::unique(absent.begin(), absent.end()), absent.end());
  for (const auto& missing : absent) {
    if (missing.starts_with('/')) files.add_absent(missing);
  }
  return files;
}

// The region's pages come to be in the image itself.
Result<void> take_in(CapturedRegion& region) {
  const os::Fd file(::open(region.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return os::failed("open", region.file);
  region.bytes.assign(region.size, 0);
  if (::pread(file.get(), region.bytes.data(), region.size,
              static_cast<off_t>(region.file_offset)) < 0) {
    return os::failed("read", region.file);
  }
  region.file.clear();
  return {};
}

// Words that are addresses in the arena.
std::vector<std::uint64_t> find_slides(const Capture& capture) {
  std::vector<std::uint64_t> slides;
  const auto span = capture.arena_end - capture.arena_begin;
  for (const auto& region : capture.regions) {
    for (std::size_t at = 0; at + 8 <= region.bytes.size(); at += 8) {
      std::uint64_t value = 0;
      std::memcpy(&value, region.bytes.data() + at, sizeof value);
      if (value - capture.arena_begin <= span) slides.push_back(region.address + at);
    }
  }
  return slides;
}

bool has_patch(const std::vector<ImagePatch>& patches, const CapturedRegion& region) {
  const auto at = std::lower_bound(patches.begin(), patches.end(), region.address,
                                   [](const auto& p, std::uint64_t a) { return p.address < a; });
  return at != patches.end() && at->address - region.address < region.size;
}

Result<ImageParts> make_parts(const std::string& path, Capture& capture,
                              std::vector<ImagePatch> patches) {
  auto files = collect_files(path, capture);
  if (!files) return std::unexpected(files.error());
  ImageParts parts;
  for (auto& region : capture.regions) {
    if (region.protection == PROT_NONE && region.bytes.empty()) continue;
    RegionPart part{region.address,
                    region.size,
                    static_cast<std::uint32_t>(region.protection),
                    0,
                    std::nullopt,
                    region.file_offset,
                    {}};
    if (!region.file.empty() && files->mapped() + 1 >= kMaxMappedFiles) {
      if (auto done = take_in(region); !done) return std::unexpected(done.error());
    }
    if (!region.file.empty()) {
      const auto index = files->add(region.file, kFileMapped);
      if (!index) return std::unexpected(index.error());
      part.file = *index;
    }
    part.bytes = region.bytes;
    const bool writable = (region.protection & PROT_WRITE) != 0;
    if (!writable && has_patch(patches, region)) part.flags |= kRegionPatched;
    parts.regions.push_back(part);
  }
  parts.files = files->take();
  parts.patches = std::move(patches);
  parts.slides = find_slides(capture);
  auto& header = parts.header;
  header.arena_begin = capture.arena_begin;
  header.arena_end = capture.arena_end;
  header.start = capture.start;
  header.entry = capture.entry;
  header.program_headers = capture.program_headers;
  header.program_header_count = capture.program_header_count;
  header.loader_base = capture.loader_base;
  header.unmap_gadget = capture.unmap_gadget;
  header.objects = static_cast<std::uint32_t>(capture.objects.size());
  header.thread = capture.thread;
  header.conditions = capture.conditions;
  header.vdso = capture.vdso;
  header.made_at_s =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count());
  return parts;
}

std::unexpected<BuildFailure> refuse(Refusal refusal, Error error) {
  return std::unexpected(BuildFailure{refusal, std::move(error)});
}

// How many libraries the program links; 0 if that can't be said.
std::size_t count_libraries(const std::string& path) {
  const auto facts = ask_loader(kLoaderPath);
  if (!facts) return 0;
  const auto cache_file = MappedFile::open(kLibraryCachePath);
  Diagnostics diagnostics;
  std::optional<LibraryCache> cache;
  if (cache_file) cache = LibraryCache::read(cache_file->bytes(), *facts, diagnostics);
  ClosureRequest request;
  request.program = path;
  request.facts = &*facts;
  if (cache) request.cache = &*cache;
  const auto closure = resolve_closure(request);
  return closure ? closure->objects.size() : 0;
}

// From here on packing pays: fewer mappings and pages, for a linker of our own.
constexpr std::size_t kManyLibraries = 100;

Result<Capture> capture_as_wanted(const std::string& path, const BuildOptions& options,
                                  const CaptureOptions& capturing, std::uint32_t& packed) {
  const bool pack = options.packing == Packing::always || (options.packing == Packing::by_number &&
                                                           count_libraries(path) >= kManyLibraries);
  if (pack) {
    auto result = capture_packed(path, capturing);
    if (result) {
      packed = static_cast<std::uint32_t>(result->summary.packed);
      return std::move(result->capture);
    }
    if (options.packing == Packing::always) return std::unexpected(result.error());
  }
  return capture_program(path, capturing);
}

// A second capture says what differs from start to start. Of a program that takes long to link that
// is another one's, with the same ld.so and C library.
Result<std::vector<ImagePatch>> find_patches(const std::string& path, const Capture& captured,
                                             bool is_packed, CaptureOptions capturing) {
  constexpr int kOtherArguments = 3;
  constexpr const char* kProbe = "/usr/bin/true";
  if (!is_packed && captured.objects.size() < kManyLibraries) {
    capturing.arguments = kOtherArguments;
    const auto second = capture_program(path, capturing);
    if (!second) return std::unexpected(second.error());
    return derive_patches(captured, *second);
  }
  const auto first = capture_program(kProbe, capturing);
  if (!first) return std::unexpected(first.error());
  capturing.arguments = kOtherArguments;
  const auto second = capture_program(kProbe, capturing);
  if (!second) return std::unexpected(second.error());
  const auto patches = derive_patches(*first, *second);
  if (!patches) return std::unexpected(patches.error());
  return transfer_patches(*first, *patches, captured);
}

}  // namespace

std::expected<os::Fd, BuildFailure> build_image(const std::string& path,
                                                const BuildOptions& options) {
  const auto begun = Clock::now();
  if (const auto refusal = check_program(path); refusal != Refusal::none) {
    return refuse(refusal, Error{"make an image of", path, 0});
  }
  CaptureOptions capturing;
  capturing.arena = draw_arena(capturing.arena_size);
  capturing.stack_limit = options.stack_limit;
  std::uint32_t packed = 0;
  auto captured = capture_as_wanted(path, options, capturing, packed);
  if (!captured) return refuse(Refusal::not_linked, captured.error());
  auto patches = find_patches(path, *captured, packed != 0, capturing);
  if (!patches) return refuse(Refusal::not_understood, patches.error());
  auto parts = make_parts(path, *captured, std::move(*patches));
  if (!parts) return refuse(Refusal::stale, parts.error());
  parts->header.packed = packed;
  parts->header.build_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun).count());
  auto image = write_image(std::move(*parts));
  if (!image) return refuse(Refusal::no_memory, image.error());
  return std::move(*image);
}

}  // namespace prewarm::image
