// SPDX-License-Identifier: MIT
//
// The loader service's answer to a map request, from before the client connects until it has the
// image's descriptors: of a small image, and of one that was made from 10,000 files. *Bare* is the
// same exchange of messages with a process that does nothing else: what the kernel takes for it.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <memory>

#include "bench/cases.h"
#include "bench/image_service.h"
#include "image/image.h"
#include "image/image_file.h"
#include "image/memfd.h"
#include "image/writer.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kRequests = 200;  // per sample
constexpr unsigned kFiles = 10'000;
constexpr unsigned kMapped = 200;  // of these, as far as one message can carry them
constexpr std::uint64_t kStackLimit = 8 << 20;

os::Result<image::FilePart> describe(const std::string& path, std::uint32_t flags) {
  struct stat s;
  if (::stat(path.c_str(), &s) != 0) return os::failed("look at", path);
  image::FilePart part{path, {.flags = flags}};
  image::set_identity(part.file, os::FileIdentity::of(s));
  return part;
}

// Right in form, so that the service takes it.
os::Result<void> write_image_file(const std::vector<image::FilePart>& files,
                                  const std::string& path) {
  constexpr std::uint64_t kBase = 0x2000'0000'0000, kPage = image::kPageSize;
  const std::vector<std::uint8_t> page(kPage, 1);
  image::ImageParts parts;
  image::ImageHeader& header = parts.header;
  header.arena_begin = kBase;
  header.arena_end = kBase + (1ULL << 36);
  header.start = header.entry = header.unmap_gadget = kBase;
  header.program_headers = header.loader_base = kBase;
  header.objects = 3;
  header.thread = {
      kBase + kPage + 0x100, kBase + kPage + 0x200, kBase + kPage + 0x300, 24, 0, 0, 0};
  header.vdso = {kBase + (1ULL << 35), 2 * kPage, kBase + (1ULL << 35), {kPage, kPage}};
  header.conditions.vdso_size = header.vdso.size;
  header.conditions.stack_limit = kStackLimit;
  parts.files = files;
  parts.regions = {{kBase, kPage, PROT_READ | PROT_EXEC, 0, {}, 0, page},
                   {kBase + kPage, kPage, PROT_READ | PROT_WRITE, 0, {}, 0, page}};
  for (std::uint32_t i = 0; i < files.size(); ++i) {
    if ((files[i].file.flags & image::kFileMapped) == 0) continue;
    parts.regions.push_back({kBase + (4ULL + 2 * i) * kPage, kPage, PROT_READ, 0, i, 0, {}});
  }
  const auto made = image::write_image(std::move(parts));
  if (!made) return std::unexpected(made.error());
  const auto mapping = image::Mapping::of(*made);
  if (!mapping) return std::unexpected(mapping.error());
  const auto bytes = mapping->bytes();
  return write_file(path, {bytes.begin(), bytes.end()});
}

// An image of a program that needs so many files; the program's path.
os::Result<std::string> make_image(const Session& session, const std::string& name, unsigned files,
                                   unsigned mapped) {
  std::string program = session.scratch_path(name);
  std::vector<image::FilePart> parts;
  const auto add = [&](const std::string& path, std::uint32_t flags) -> os::Result<void> {
    auto part = describe(path, flags);
    if (!part) return std::unexpected(part.error());
    parts.push_back(std::move(*part));
    return {};
  };
  for (unsigned i = 0; i < files; ++i) {
    // ELF files, so that they are opened wherever they are.
    const std::string path = i == 0 ? program : fmt::format("{}.{}", program, i);
    if (auto done = write_file(path, "\177ELF" + std::string(image::kPageSize, 'x')); !done) {
      return std::unexpected(done.error());
    }
    const std::uint32_t flags = i < mapped ? image::kFileMapped : 0;
    if (auto done = add(path, i == 0 ? flags | image::kFileProgram : flags); !done) {
      return std::unexpected(done.error());
    }
  }
  if (auto done = add("/lib64/ld-linux-x86-64.so.2", image::kFileLoader); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = write_image_file(parts, program + ".image"); !done) {
    return std::unexpected(done.error());
  }
  return program;
}

os::Result<std::vector<double>> sample(const ImageService& service, const std::string& program,
                                       unsigned requests) {
  std::vector<double> times;
  for (unsigned i = 0; i < requests; ++i) {
    const auto given = service.map(program, kStackLimit);
    if (!given) return std::unexpected(given.error());
    times.push_back(given->us());
  }
  return std::vector<double>{summarize(times).median};
}

os::Result<Measured> measure_image_map(const Session& session) {
  const bool quick = session.options.quick;
  const unsigned files = quick ? kFiles / 100 : kFiles;
  const unsigned requests = quick ? 3 : kRequests;
  session.progress.show("making files");
  const auto small = make_image(session, "small", 3, 2);
  if (!small) return std::unexpected(small.error());
  const unsigned mapped = kMapped / (quick ? 10 : 1);
  const auto large = make_image(session, "large", files, mapped);
  if (!large) return std::unexpected(large.error());
  const auto service = ImageService::start(session, {*small + ".image", *large + ".image"});
  if (!service) return std::unexpected(service.error());
  const auto bare_small = ImageService::bare(session, 2 + 1);
  if (!bare_small) return std::unexpected(bare_small.error());
  const auto bare_large = ImageService::bare(session, mapped + 1);
  if (!bare_large) return std::unexpected(bare_large.error());
  Plan plan;
  plan.metrics = {"from connecting to the image's descriptors"};
  plan.sample = fmt::format("median of {} requests", requests);
  plan.rounds = session.options.rounds;
  plan.warm_up = true;
  if (quick) plan.note = fmt::format("{} files stand for {}", files, kFiles);
  const auto add = [&](const std::string& name, const std::shared_ptr<ImageService>& asked,
                       const std::string& program) {
    plan.variants.push_back(
        {name, [asked, program, requests] { return sample(*asked, program, requests); }});
  };
  add("bare, small", *bare_small, *small);
  add("small", *service, *small);
  add("bare, 10,000 files", *bare_large, *large);
  add("10,000 files", *service, *large);
  return interleave(session, plan);
}

}  // namespace

std::vector<Case> image_map_cases() {
  return {{.name = "image-map",
           .what = "asking the loader service for an image that it has in memory",
           .demands = {{DemandKind::us_at_most, "small", "small", 100},
                       {DemandKind::us_at_most, "10,000 files", "10,000 files", 100}},
           .measure = measure_image_map}};
}

}  // namespace prewarm::bench
