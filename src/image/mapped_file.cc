// SPDX-License-Identifier: MIT
#include "image/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "os/fd.h"

namespace prewarm::image {

os::Result<MappedFile> MappedFile::open(const char* path) {
  // O_NONBLOCK: opening a FIFO must not wait for its other end.
  const os::Fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return os::failed("open", path);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return os::failed("stat", path);
  if (!S_ISREG(status.st_mode)) return os::failed_with(EINVAL, "map", path);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return MappedFile({});
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (at == MAP_FAILED) return os::failed("map", path);
  return MappedFile({static_cast<const std::byte*>(at), size});
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace prewarm::image
