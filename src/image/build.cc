// SPDX-License-Identifier: MIT
#include "image/build.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "image/bind.h"
#include "image/capture.h"
#include "image/checksum.h"
#include "image/closure.h"
#include "image/diagnostics.h"
#include "image/eligible.h"
#include "image/image_file.h"
#include "image/join.h"
#include "image/library_cache.h"
#include "image/loader_facts.h"
#include "image/mapped_file.h"
#include "image/move.h"
#include "image/pack.h"
#include "image/patches.h"
#include "image/writer.h"
#include "os/clock.h"

namespace prewarm::image {
namespace {

using os::Result;
using Clock = std::chrono::steady_clock;

// The files that an image depends on, each once. None of them may have changed since `begun_ns`:
// nobody could say which of the two ld.so has mapped.
class Files {
 public:
  explicit Files(std::int64_t begun_ns) : begun_ns_(begun_ns) {}

  // Its index.
  Result<std::uint32_t> add(const std::string& path, std::uint32_t flags) {
    struct stat s{};
    if (::stat(path.c_str(), &s) != 0) return os::failed("look at", path);
    const auto [known, is_new] = by_identity_.emplace(std::pair(s.st_dev, s.st_ino),
                                                      static_cast<std::uint32_t>(parts_.size()));
    if (is_new) {
      FilePart part;
      part.path = path;
      const auto identity = os::FileIdentity::of(s);
      if (identity.changed_ns >= begun_ns_) return os::failed_with(EAGAIN, "wait with", path);
      set_identity(part.file, identity);
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
  std::int64_t begun_ns_;
  std::vector<FilePart> parts_;
  std::map<std::pair<dev_t, ino_t>, std::uint32_t> by_identity_;
};

// What is to be made.
struct Order {
  const std::string& path;
  const BuildOptions& options;
  std::int64_t begun_ns;  // by the clock of files
};

Result<Files> collect_files(const Order& order, const Capture& capture) {
  Files files(order.begun_ns);
  if (auto added = files.add(order.path, kFileProgram); !added)
    return std::unexpected(added.error());
  for (const auto& region : capture.regions) {
    if (region.address != capture.loader_base || region.file.empty()) continue;
    if (auto added = files.add(region.file, kFileLoader); !added) {
      return std::unexpected(added.error());
    }
  }
  for (const auto& opened : capture.files_opened) {
    const std::uint32_t flags = opened == order.options.preload ? kFilePreloaded : 0;
    if (auto added = files.add(opened, flags); !added) return std::unexpected(added.error());
  }
  std::vector<std::string> absent = capture.files_absent;
  std::sort(absent.begin(), absent.end());
  absent.erase(std::unique(absent.begin(), absent.end()), absent.end());
  for (const auto& missing : absent) {
    if (missing.starts_with('/')) files.add_absent(missing);
  }
  return files;
}

// The largest alignment that a segment of the file asks for; 0 if it isn't ELF.
std::uint64_t alignment_of(const std::string& path) {
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Elf64_Ehdr header{};
  std::array<Elf64_Phdr, 64> segments;
  if (::pread(file.get(), &header, sizeof header, 0) != sizeof header ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phnum > segments.size()) {
    return 0;
  }
  const std::size_t size = header.e_phnum * sizeof(Elf64_Phdr);
  const auto at = static_cast<off_t>(header.e_phoff);
  if (::pread(file.get(), segments.data(), size, at) != static_cast<ssize_t>(size)) return 0;
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    if (segments[i].p_type == PT_LOAD) largest = std::max(largest, segments[i].p_align);
  }
  return largest;
}

std::uint32_t largest_alignment(const std::vector<FilePart>& files) {
  std::uint64_t largest = kPageSize;
  for (const auto& part : files) {
    if ((part.file.flags & kFileAbsent) == 0) largest = std::max(largest, alignment_of(part.path));
  }
  return static_cast<std::uint32_t>(std::bit_ceil(std::min<std::uint64_t>(largest, 1ULL << 30)));
}

// What the image was made from and for; another is another image.
void set_key(ImageHeader& header, const std::vector<FilePart>& files) {
  ChecksumStream sum;
  const auto add = [&](const auto& value) {
    sum.add({reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
  };
  for (const auto& part : files) {
    sum.add({reinterpret_cast<const std::uint8_t*>(part.path.c_str()), part.path.size() + 1});
    add(part.file.device);
    add(part.file.inode);
    add(part.file.size);
    add(part.file.modified_ns);
    add(part.file.changed_ns);
  }
  add(header.conditions);
  add(header.packed);
  const auto key = sum.sum();
  std::copy(key.begin(), key.end(), header.key);
}

Result<ImageParts> make_parts(const Order& order, Capture& capture, Differences differences,
                              std::uint32_t packed) {
  auto files = collect_files(order, capture);
  if (!files) return std::unexpected(files.error());
  if (auto done = join_regions(capture.regions); !done) return std::unexpected(done.error());
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
    parts.regions.push_back(part);
  }
  parts.files = files->take();
  parts.patches = std::move(differences.patches);
  parts.slides = std::move(differences.slides);
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
  if (const auto boot = this_boot()) std::copy(boot->begin(), boot->end(), header.boot);
  header.packed = packed;
  header.alignment = largest_alignment(parts.files);
  set_key(header, parts.files);
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
  const bool pack =
      options.preload.empty() &&
      (options.packing == Packing::always ||
       (options.packing == Packing::by_number && count_libraries(path) >= kManyLibraries));
  if (pack) {
    auto result = capture_packed(path, capturing);
    // With nothing packed it is an image like others, and compared with one.
    if (result && result->summary.packed != 0) {
      packed = static_cast<std::uint32_t>(result->summary.packed);
      return std::move(result->capture);
    }
    if (!result && options.packing == Packing::always) return std::unexpected(result.error());
  }
  return capture_program(path, capturing);
}

// As check_program says of the program, for the sake of a library.
bool has_own_layout(const Capture& capture) {
  constexpr std::array kRunTimes = {"/libtsan.so", "/libclang_rt.tsan", "/libclang_rt.msan",
                                    "/libclang_rt.dfsan", "/libclang_rt.hwasan"};
  return std::ranges::any_of(capture.objects, [&](const auto& object) {
    return std::ranges::any_of(
        kRunTimes, [&](const char* name) { return object.path.find(name) != std::string::npos; });
  });
}

// A second capture says what differs from start to start. Of a program that takes long to link that
// is another one's, with the same ld.so and C library.
Result<Differences> find_differences(const std::string& path, const Capture& captured,
                                     bool is_packed, CaptureOptions capturing) {
  constexpr int kOtherArguments = 3;
  constexpr const char* kProbe = "/usr/bin/true";
  const auto capture_otherwise = [&](const std::string& program) {
    CaptureOptions others = capturing;
    // Of segments that are aligned to more than a page the distances are to be the same.
    constexpr std::uint64_t kLargestAlignment = 1 << 21;
    others.arena = draw_arena(others.arena_size + kLargestAlignment);
    others.arena += (capturing.arena - others.arena) % kLargestAlignment;
    others.arguments = kOtherArguments;
    return capture_program(program, others);
  };
  if (!is_packed && captured.objects.size() < kManyLibraries) {
    const auto second = capture_otherwise(path);
    if (!second) return std::unexpected(second.error());
    return compare_captures(captured, *second);
  }
  capturing.linked = nullptr;
  const auto first = capture_program(kProbe, capturing);
  if (!first) return std::unexpected(first.error());
  const auto second = capture_otherwise(kProbe);
  if (!second) return std::unexpected(second.error());
  const auto differences = compare_captures(*first, *second);
  if (!differences) return std::unexpected(differences.error());
  auto patches = transfer_patches(*first, differences->patches, captured);
  if (!patches) return std::unexpected(patches.error());
  return Differences{std::move(*patches), find_slides(captured)};
}

std::expected<os::Fd, BuildFailure> build_once(const std::string& path,
                                               const BuildOptions& options) {
  const auto begun = Clock::now();
  const Order order{path, options, os::now_ns(CLOCK_REALTIME_COARSE)};
  if (const auto refusal = check_program(path); refusal != Refusal::none) {
    return refuse(refusal, Error{"make an image of", path, 0});
  }
  CaptureOptions capturing;
  capturing.arena = draw_arena(capturing.arena_size);
  capturing.stack_limit = options.stack_limit;
  capturing.preload = options.preload;
  capturing.linked = bind_all;
  std::uint32_t packed = 0;
  auto captured = capture_as_wanted(path, options, capturing, packed);
  if (!captured) return refuse(Refusal::not_linked, captured.error());
  if (has_own_layout(*captured)) {
    return refuse(Refusal::own_layout, Error{"make an image of", path, 0});
  }
  auto differences = find_differences(path, *captured, packed != 0, capturing);
  if (!differences) return refuse(Refusal::not_understood, differences.error());
  auto parts = make_parts(order, *captured, std::move(*differences), packed);
  if (!parts) return refuse(Refusal::stale, parts.error());
  parts->header.build_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begun).count());
  auto image = write_image(std::move(*parts));
  if (!image) return refuse(Refusal::no_memory, image.error());
  return std::move(*image);
}

}  // namespace

std::expected<os::Fd, BuildFailure> build_image(const std::string& path,
                                                const BuildOptions& options) {
  auto made = build_once(path, options);
  if (made || made.error().refusal != Refusal::stale) return made;
  // A file has just been written, as those of a program that was compiled a moment ago.
  constexpr timespec kTicks{0, 20 * os::kNsPerMs};
  ::nanosleep(&kTicks, nullptr);
  return build_once(path, options);
}

}  // namespace prewarm::image
