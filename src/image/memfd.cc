// SPDX-License-Identifier: MIT
#include "image/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

namespace prewarm::image {
namespace {

// Linux 6.3: without the permission to be executed, and nobody can give it. Mapping the pages
// executable needs none. Systems exist that allow no other memfds (sysctl vm.memfd_noexec).
constexpr unsigned kNoExecSeal = 8;

constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

}  // namespace

os::Result<os::Fd> make_memfd(const char* name, std::uint64_t size) {
  os::Fd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExecSeal));
  if (!fd.valid() && errno == EINVAL) {
    fd.reset(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  }
  if (!fd.valid()) return os::failed("make a memfd", name);
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return os::failed("set the size of a memfd", name);
  }
  return fd;
}

os::Result<void> seal(const os::Fd& memfd) {
  // The writable mappings of a process that has ended go a moment later if somebody looks at its
  // memory just then, as who reads /proc/PID/environ does.
  constexpr int kTries = 100;
  constexpr timespec kPause{0, 2 * os::kNsPerMs};
  for (int i = 0; ::fcntl(memfd.get(), F_ADD_SEALS, kSeals) != 0; ++i) {
    if (errno != EBUSY || i == kTries) return os::failed("seal a memfd");
    ::nanosleep(&kPause, nullptr);
  }
  return {};
}

bool is_sealed(const os::Fd& memfd) {
  const int seals = ::fcntl(memfd.get(), F_GET_SEALS);
  return seals >= 0 && (seals & kSeals) == kSeals;
}

os::Result<os::Fd> sealed_memfd(const char* name, std::span<const std::uint8_t> bytes) {
  auto fd = make_memfd(name, bytes.size());
  if (!fd) return fd;
  if (auto written = write_at(*fd, bytes, 0); !written) {
    return std::unexpected(written.error());
  }
  if (auto sealed = seal(*fd); !sealed) return std::unexpected(sealed.error());
  return fd;
}

os::Result<void> write_at(const os::Fd& fd, std::span<const std::uint8_t> bytes,
                          std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? os::failed("write") : os::failed_with(EIO, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Mapping::~Mapping() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

// Before Linux 6.7 a sealed memfd can't be mapped shared, not even to read it.
os::Result<Mapping> Mapping::of(const os::Fd& fd) { return map(fd, PROT_READ, MAP_PRIVATE); }
os::Result<Mapping> Mapping::writable_of(const os::Fd& fd) {
  return map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
}

os::Result<Mapping> Mapping::map(const os::Fd& fd, int protection, int flags) {
  struct stat s;
  if (::fstat(fd.get(), &s) != 0) return os::failed("look at a file to map");
  Mapping mapping;
  if (s.st_size == 0) return mapping;  // nothing can be mapped
  const auto size = static_cast<std::size_t>(s.st_size);
  void* address = ::mmap(nullptr, size, protection, flags, fd.get(), 0);
  if (address == MAP_FAILED) return os::failed("map a file");
  mapping.bytes_ = {static_cast<std::uint8_t*>(address), size};
  return mapping;
}

}  // namespace prewarm::image
