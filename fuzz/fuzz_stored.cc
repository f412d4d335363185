// SPDX-License-Identifier: MIT
//
// Files of the store of images: any bytes are an error, or as many as the header says.
//
// Input: such a file, whose magic, versions, sizes and checksum are made right.
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "image/memfd.h"
#include "image/stored_file.h"
#include "invariant.h"

namespace {

using namespace prewarm::image;
using prewarm::os::Fd;

constexpr std::uint64_t kMaxImage = 1 << 20;

Fd file_of(std::span<const std::uint8_t> bytes) {
  Fd fd(::memfd_create("fuzz", MFD_CLOEXEC));
  PREWARM_MUST(fd.valid() && write_at(fd, bytes, 0).has_value());
  return fd;
}

void make_right(std::vector<std::uint8_t>& bytes) {
  StoredHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(header.magic, kStoredMagic, sizeof kStoredMagic);
  header.version = kStoredVersion;
  header.header_bytes = sizeof header;
  header.image_version = kImageVersion;
  header.image_bytes %= kMaxImage;
  header.path_bytes = static_cast<std::uint32_t>(
      std::min<std::size_t>(header.path_bytes, bytes.size() - sizeof header));
  header.frame_bytes = bytes.size() - sizeof header - header.path_bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  header.checksum = checksum_of(std::span(bytes)
                                    .first(sizeof header + header.path_bytes)
                                    .subspan(offsetof(StoredHeader, key)));
  std::memcpy(bytes.data(), &header, sizeof header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Fd as_it_is = file_of({data, size});
  PREWARM_MUST(!read_stored(as_it_is) || read_entry(as_it_is));

  std::vector<std::uint8_t> bytes(data, data + size);
  bytes.resize(std::max(size, sizeof(StoredHeader)));
  make_right(bytes);
  const Fd file = file_of(bytes);
  const auto entry = read_entry(file);
  // Only a path can be too long.
  if (!entry) return 0;
  PREWARM_MUST(entry->stored_bytes == bytes.size());
  PREWARM_MUST(entry->program.size() <= bytes.size() - sizeof(StoredHeader));
  const auto image = read_stored(file);
  if (!image) return 0;
  struct stat s;
  PREWARM_MUST(::fstat(image->get(), &s) == 0);
  PREWARM_MUST(static_cast<std::uint64_t>(s.st_size) == entry->image_bytes);
  return 0;
}
