// SPDX-License-Identifier: MIT
//
// An image in memory, and the files that it was made from: are they still what they were?
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "image/format.h"
#include "image/memfd.h"
#include "image/refusal.h"
#include "os/fd.h"

namespace prewarm::image {

// How a file is opened to be mapped; not valid: it can't be.
using FileOpener = std::function<os::Fd(const std::string& path)>;

// What can be given to processes: a sealed memfd and the files that regions are mapped from.
struct LoadedImage {
  os::Fd memfd;
  std::vector<os::Fd> files;  // in the order of ImageFile::descriptor
};

// Checks everything about `memfd` (sealed here), and opens what it maps. May read gigabytes and
// wait for disks: for a process of its own. `loaded` is only written if the result is `none`.
Refusal load_image(os::Fd memfd, const FileOpener& open_file, LoadedImage& loaded);

// What the service keeps of one.
class HotImage {
 public:
  // `loaded` was checked by load_image, in this program or in one of its processes.
  static os::Result<HotImage> adopt(LoadedImage loaded);

  const ImageHeader& header() const;
  // Header and tables.
  std::uint64_t context_bytes() const { return context_bytes_; }
  std::uint64_t memory_bytes() const { return memory_bytes_; }
  std::string_view program() const { return path(0); }
  const ImageFile& program_file() const { return files()[0]; }
  std::string_view preloaded() const { return preloaded_; }  // see MapTarget::preload

  // The image first, then its files.
  const std::vector<int>& descriptors() const { return descriptors_; }

  // Looks at every file.
  bool is_current() const;
  std::vector<std::string_view> paths() const;

 private:
  HotImage() = default;
  std::span<const ImageFile> files() const;
  std::string_view path(std::size_t file) const;

  LoadedImage loaded_;
  Mapping mapping_;
  std::vector<int> descriptors_;
  std::string_view preloaded_;
  std::uint64_t context_bytes_ = 0;
  std::uint64_t memory_bytes_ = 0;
};

}  // namespace prewarm::image
