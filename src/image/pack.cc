// SPDX-License-Identifier: MIT
#include "image/pack.h"

#include <elf.h>
#include <errno.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "image/bind.h"
#include "image/capture_memory.h"
#include "image/glibc_layout.h"
#include "image/pack_constructors.h"
#include "image/pack_move.h"
#include "image/pack_plan.h"
#include "image/pack_unique.h"

namespace prewarm::image {
namespace {

using os::Result;

class Packer {
 public:
  Packer(std::string path, CaptureOptions options, std::shared_ptr<const LibraryFile> program,
         bool with_large)
      : path_(std::move(path)),
        options_(std::move(options)),
        plan_(std::move(program), with_large) {}

  Result<PackedCapture> run();

 private:
  Result<void> link(Capture& capture, const Linker::Call& call);
  Result<void> link_library(Capture& capture, CaptureMemory& memory, std::uint32_t object);
  void find_idle(const Capture& capture, CaptureMemory& memory);
  void summarise(const Capture& capture);
  void count_pages(const Capture& capture);

  std::string path_;
  CaptureOptions options_;
  PackPlan plan_;
  std::optional<LoaderView> loader_;
  std::optional<Linker> linker_;
  std::vector<MovingLibrary> moving_;
  PackSummary summary_;
  bool again_ = false;
};

Result<void> Packer::link_library(Capture& capture, CaptureMemory& memory, std::uint32_t object) {
  MovingLibrary moving;
  const auto& captured = capture.objects[object];
  moving.object = object;
  moving.library = plan_.library(captured.path);
  moving.old_base = captured.base;
  moving.old_end = memory.word(captured.link_map + loader_->layout().map.map_end);
  auto words = linker_->link(object);
  if (!words) return std::unexpected(words.error());
  moving.words = std::move(*words);
  bool done = true;
  for (const auto& word : moving.words) done = done && memory.put(word.address, word.value);
  // The dynamic section says again how much there is to relocate.
  const auto dynamic = moving.library->file->elf.dynamic();
  for (std::size_t i = 0; i < dynamic.size(); ++i) {
    const auto entry = dynamic[i];
    if (entry.d_tag == DT_RELASZ || entry.d_tag == DT_RELACOUNT || entry.d_tag == DT_PLTRELSZ ||
        entry.d_tag == DT_RELRSZ) {
      done = done && memory.put(captured.dynamic + i * sizeof entry + 8, entry.d_un.d_val);
    }
  }
  if (!done) return os::failed_with(EFAULT, "its variables can't be written");
  summary_.relocations += moving.words.size();
  moving_.push_back(std::move(moving));
  return {};
}

void Packer::find_idle(const Capture& capture, CaptureMemory& memory) {
  const auto c_library = std::ranges::find_if(linker_->objects(), [](const auto& object) {
    return object.file && object.file->elf.soname() == "libc.so.6";
  });
  if (c_library == linker_->objects().end()) return;
  const auto& elf = c_library->file->elf;
  const auto symbol = elf.find(Wanted("__cxa_finalize", nullptr, true));
  if (!symbol) return;
  const auto finalize = c_library->base + elf.raw_symbol(*symbol).st_value;
  for (auto& library : moving_) {
    library.is_idle = has_idle_constructors(library.library->file->elf,
                                            capture.objects[library.object].base, finalize, memory);
    if (library.is_idle) ++summary_.idle;
  }
}

Result<void> Packer::link(Capture& capture, const Linker::Call& call) {
  CaptureMemory memory(capture);
  auto loader = LoaderView::open(capture, memory);
  if (!loader) return std::unexpected(loader.error());
  loader_ = std::move(*loader);
  auto objects = link_objects(capture, memory, *loader_, [this](const CapturedObject& object) {
    const auto* library = plan_.library(object.path);
    return library != nullptr ? library->file : open_library(object.path);
  });
  if (!objects) return std::unexpected(objects.error());
  linker_.emplace(std::move(*objects), loader_->scope(), call);
  know_unique_symbols(capture, *loader_, memory, *linker_);
  moving_.clear();
  summary_ = {};
  for (std::uint32_t i = 1; i < capture.objects.size(); ++i) {
    const auto& path = capture.objects[i].path;
    if (plan_.library(path) == nullptr) continue;
    if (auto done = link_library(capture, memory, i); !done) {
      // ld.so hasn't relocated it, either: once more, and it shall.
      plan_.keep(path, done.error().message());
      again_ = true;
    }
  }
  if (again_) return os::failed_with(EAGAIN, "link", path_);
  for (std::uint32_t i = 0; i < capture.objects.size(); ++i) {
    if (plan_.library(capture.objects[i].path) == nullptr) bind_object(*linker_, memory, i);
  }
  find_idle(capture, memory);
  return {};
}

void Packer::count_pages(const Capture& capture) {
  summary_.mappings_before = capture.regions.size();
  const Moves moves(moving_);
  for (const auto& region : capture.regions) {
    if (moves.contains(region.address)) summary_.bytes_before += region.size;
  }
}

void Packer::summarise(const Capture& capture) {
  summary_.packed = moving_.size();
  summary_.mappings_after = capture.regions.size();
  for (std::size_t i = 1; i < capture.objects.size(); ++i) {
    const auto& object = capture.objects[i];
    if (object.base == capture.vdso.code) continue;
    const auto kept = plan_.kept().find(object.path);
    if (kept != plan_.kept().end()) {
      summary_.libraries.push_back({object.path, kept->second});
    } else if (object.base == capture.loader_base) {
      summary_.libraries.push_back({object.path, "it is ld.so itself"});
    } else if (plan_.library(object.path) == nullptr) {
      summary_.libraries.push_back({object.path, "it was mapped in an unusual way"});
    } else {
      summary_.libraries.push_back({object.path, {}});
    }
  }
}

Result<PackedCapture> Packer::run() {
  options_.leave_unrelocated = [this](const std::string& path) { return plan_.is_packed(path); };
  options_.linked = [this](Capture& capture, const Linker::Call& call) {
    return link(capture, call);
  };
  // Each round keeps at least one library more.
  constexpr int kMostRounds = 8;
  for (int round = 0;; ++round) {
    again_ = false;
    auto capture = capture_program(path_, options_);
    if (!capture && again_ && round < kMostRounds) continue;
    if (!capture) return std::unexpected(capture.error());
    count_pages(*capture);
    if (!moving_.empty()) {
      const auto moved =
          move_libraries(*capture, *loader_, moving_, linker_->objects(), linker_->unique_uses());
      if (!moved) return std::unexpected(moved.error());
      summary_.groups = moved->groups;
      summary_.bytes_after = moved->bytes;
    }
    summarise(*capture);
    return PackedCapture{std::move(*capture), std::move(summary_)};
  }
}

}  // namespace

Result<PackedCapture> capture_packed(const std::string& path, CaptureOptions options,
                                     bool with_large) {
  auto program = open_library(path);
  if (!program) return std::unexpected(program.error());
  return Packer(path, std::move(options), std::move(*program), with_large).run();
}

}  // namespace prewarm::image
