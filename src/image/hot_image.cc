// SPDX-License-Identifier: MIT
#include "image/hot_image.h"

#include <errno.h>

#include <algorithm>
#include <utility>

#include "image/image.h"
#include "image/image_file.h"

namespace prewarm::image {
namespace {

// `path` ends with a zero byte.
bool is_as_it_was(const char* path, const ImageFile& file) {
  struct stat s;
  const bool is_there = ::stat(path, &s) == 0;
  if ((file.flags & kFileAbsent) != 0) return !is_there && (errno == ENOENT || errno == ENOTDIR);
  return is_there && is_same_file(file, s);
}

os::Fd open_same(const FileOpener& open_file, std::string_view path, const ImageFile& file) {
  os::Fd fd = open_file(std::string(path));
  struct stat s;
  if (!fd.valid() || ::fstat(fd.get(), &s) != 0 || !is_same_file(file, s)) fd.reset();
  return fd;
}

}  // namespace

Refusal load_image(os::Fd memfd, const FileOpener& open_file, LoadedImage& loaded) {
  // Sealed first: nothing of what is checked can change afterwards.
  if (!is_sealed(memfd) && !seal(memfd)) return Refusal::no_memory;
  const auto mapping = Mapping::of(memfd);
  if (!mapping) return Refusal::no_memory;
  const auto image = Image::open(mapping->bytes());
  if (!image) {
    return image.error().code == EPROTONOSUPPORT ? Refusal::other_version : Refusal::damaged;
  }
  std::vector<os::Fd> files(image->header().mapped_files);
  for (const ImageFile& file : image->files()) {
    const std::string_view path = image->path(file);
    if (!is_as_it_was(path.data(), file)) return Refusal::stale;
    if ((file.flags & kFileMapped) == 0) continue;
    files.at(file.descriptor) = open_same(open_file, path, file);
    if (!files[file.descriptor].valid()) return Refusal::stale;
  }
  loaded = {std::move(memfd), std::move(files)};
  return Refusal::none;
}

os::Result<HotImage> HotImage::adopt(LoadedImage loaded) {
  HotImage hot;
  struct stat s;
  if (::fstat(loaded.memfd.get(), &s) != 0) return os::failed("look at an image");
  hot.memory_bytes_ = static_cast<std::uint64_t>(s.st_blocks) * 512;
  auto mapping = Mapping::of(loaded.memfd);
  if (!mapping) return std::unexpected(mapping.error());
  hot.mapping_ = std::move(*mapping);
  hot.loaded_ = std::move(loaded);
  hot.descriptors_.push_back(hot.loaded_.memfd.get());
  for (const os::Fd& file : hot.loaded_.files) hot.descriptors_.push_back(file.get());
  const ImageHeader& h = hot.header();
  hot.context_bytes_ = h.context_bytes;
  for (std::size_t i = 0; i < hot.files().size(); ++i) {
    if ((hot.files()[i].flags & kFilePreloaded) != 0) hot.preloaded_ = hot.path(i);
  }
  return hot;
}

const ImageHeader& HotImage::header() const {
  return *reinterpret_cast<const ImageHeader*>(mapping_.bytes().data());
}

std::span<const ImageFile> HotImage::files() const {
  const ImageTable& where = header().files;
  return {reinterpret_cast<const ImageFile*>(mapping_.bytes().data() + where.offset), where.count};
}

std::string_view HotImage::path(std::size_t file) const {
  return reinterpret_cast<const char*>(mapping_.bytes().data() + header().strings.offset +
                                       files()[file].path);
}

bool HotImage::is_current() const {
  for (std::size_t i = 0; i < files().size(); ++i) {
    if (!is_as_it_was(path(i).data(), files()[i])) return false;
  }
  return true;
}

std::vector<std::string_view> HotImage::paths() const {
  std::vector<std::string_view> all;
  for (std::size_t i = 0; i < files().size(); ++i) all.push_back(path(i));
  return all;
}

}  // namespace prewarm::image
