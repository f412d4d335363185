// SPDX-License-Identifier: MIT
#include "image/stored_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "image/memfd.h"

namespace prewarm::image {
namespace {

constexpr const char* kRead = "read the stored image:";
constexpr const char* kWrite = "compress the image:";
constexpr std::uint32_t kMaxPathBytes = 4096;

// Level 1 of zstd: images become a fifth to a seventh (of 1,000 packed libraries: a fourteenth),
// half or less of what LZ4 makes of them. LZ4 is faster by milliseconds, once per image and boot.
constexpr int kLevel = 1;

std::unexpected<os::Error> wrong(const char* what) { return os::failed_with(0, kRead, what); }

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

Checksum checksum_of_head(const StoredHeader& header, const std::string& path) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&header);
  ChecksumStream sum;
  sum.add(std::span(bytes, sizeof header).subspan(offsetof(StoredHeader, key)));
  sum.add({reinterpret_cast<const std::uint8_t*>(path.data()), path.size()});
  return sum.sum();
}

// Up to `size` bytes; fewer only at the end of the file.
os::Result<std::size_t> read_at(const os::Fd& file, void* to, std::size_t size,
                                std::uint64_t offset) {
  std::size_t used = 0;
  while (used < size) {
    const ssize_t n = ::pread(file.get(), static_cast<char*>(to) + used, size - used,
                              static_cast<off_t>(offset + used));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return os::failed("read a stored image");
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
  }
  return used;
}

struct Head {
  StoredHeader header;
  std::string path;
};

// Everything before the frame, checked.
os::Result<Head> read_head(const os::Fd& file) {
  Head head;
  StoredHeader& h = head.header;
  auto n = read_at(file, &h, sizeof h, 0);
  if (!n) return std::unexpected(n.error());
  if (*n != sizeof h || std::memcmp(h.magic, kStoredMagic, sizeof kStoredMagic) != 0) {
    return wrong("it is no stored image");
  }
  if (h.version != kStoredVersion) {
    return os::failed_with(EPROTONOSUPPORT, kRead, "version " + std::to_string(h.version));
  }
  if (h.header_bytes != sizeof h || h.path_bytes > kMaxPathBytes ||
      h.image_bytes > kMaxImageBytes) {
    return wrong("its header");
  }
  head.path.resize(h.path_bytes);
  n = read_at(file, head.path.data(), head.path.size(), sizeof h);
  if (!n) return std::unexpected(n.error());
  if (*n != head.path.size()) return wrong("it is too short");
  if (checksum_of_head(h, head.path) != h.checksum) return wrong("its header's checksum");
  if (h.image_version != kImageVersion) {
    return os::failed_with(EPROTONOSUPPORT, kRead,
                           "an image of version " + std::to_string(h.image_version));
  }
  struct stat s;
  if (::fstat(file.get(), &s) != 0) return os::failed("look at a stored image");
  const auto size = static_cast<std::uint64_t>(s.st_size);
  if (size - sizeof h - h.path_bytes != h.frame_bytes) return wrong("its length");
  return head;
}

// The image as one frame, at `offset` in the file. Returns the frame's size.
os::Result<std::uint64_t> write_frame(const os::Fd& file, std::span<const std::uint8_t> bytes,
                                      std::uint64_t offset) {
  const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  if (context == nullptr) return os::failed_with(ENOMEM, kWrite);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setPledgedSrcSize(context.get(), bytes.size());
  std::vector<std::uint8_t> buffer(ZSTD_CStreamOutSize());
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::uint64_t written = 0;
  for (std::size_t left = 1; left != 0;) {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    left = ZSTD_compressStream2(context.get(), &out, &in, ZSTD_e_end);
    if (ZSTD_isError(left) != 0) return os::failed_with(0, kWrite, ZSTD_getErrorName(left));
    if (auto done = write_at(file, std::span(buffer).first(out.pos), offset + written); !done) {
      return std::unexpected(done.error());
    }
    written += out.pos;
  }
  return written;
}

}  // namespace

os::Result<void> write_stored(const os::Fd& file, const Image& image) {
  const ImageHeader& from = image.header();
  const std::string path(image.path(image.files()[0]));
  StoredHeader header;
  std::memcpy(header.magic, kStoredMagic, sizeof kStoredMagic);
  header.version = kStoredVersion;
  header.header_bytes = sizeof header;
  header.key = {from.key[0], from.key[1]};
  header.image_bytes = image.bytes().size();
  header.made_at_s = from.made_at_s;
  header.build_us = from.build_us;
  header.image_version = from.version;
  header.path_bytes = static_cast<std::uint32_t>(path.size());
  const auto frame = write_frame(file, image.bytes(), sizeof header + path.size());
  if (!frame) return std::unexpected(frame.error());
  header.frame_bytes = *frame;
  header.checksum = checksum_of_head(header, path);
  if (auto done =
          write_at(file, {reinterpret_cast<const std::uint8_t*>(&header), sizeof header}, 0);
      !done) {
    return done;
  }
  if (auto done = write_at(file, {reinterpret_cast<const std::uint8_t*>(path.data()), path.size()},
                           sizeof header);
      !done) {
    return done;
  }
  if (::fsync(file.get()) != 0) return os::failed("write an image to the disk");
  return {};
}

os::Result<StoredEntry> read_entry(const os::Fd& file) {
  auto head = read_head(file);
  if (!head) return std::unexpected(head.error());
  struct stat s;
  if (::fstat(file.get(), &s) != 0) return os::failed("look at a stored image");
  const StoredHeader& h = head->header;
  return StoredEntry{h.key,
                     std::move(head->path),
                     h.image_bytes,
                     static_cast<std::uint64_t>(s.st_size),
                     h.made_at_s,
                     h.build_us,
                     s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec};
}

os::Result<os::Fd> read_stored(const os::Fd& file) {
  const auto head = read_head(file);
  if (!head) return std::unexpected(head.error());
  const std::uint64_t size = head->header.image_bytes;
  auto memfd = make_memfd("prewarm-image", size);
  if (!memfd) return memfd;
  const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  if (context == nullptr) return os::failed_with(ENOMEM, kRead);

  std::vector<std::uint8_t> packed(ZSTD_DStreamInSize()), plain(ZSTD_DStreamOutSize());
  std::uint64_t from = sizeof(StoredHeader) + head->path.size(), to = 0;
  ZSTD_inBuffer in{packed.data(), 0, 0};
  // `left` is 0 at the end of the frame. What was written and not read yet may wait in the context.
  for (std::size_t left = 1; left != 0;) {
    if (in.pos == in.size) {
      const auto n = read_at(file, packed.data(), packed.size(), from);
      if (!n) return std::unexpected(n.error());
      from += *n;
      in = {packed.data(), *n, 0};
    }
    ZSTD_outBuffer out{plain.data(), plain.size(), 0};
    const bool is_end = in.size == 0;
    left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left) != 0) return wrong(ZSTD_getErrorName(left));
    if (out.pos > size - to) return wrong("the image is longer than it says");
    if (is_end && left != 0 && out.pos == 0) return wrong("its frame doesn't end");
    if (auto done = write_at(*memfd, std::span(plain).first(out.pos), to); !done) {
      return std::unexpected(done.error());
    }
    to += out.pos;
  }
  if (to != size) return wrong("the image is shorter than it says");
  const std::uint64_t end = sizeof(StoredHeader) + head->path.size() + head->header.frame_bytes;
  if (from - (in.size - in.pos) != end) return wrong("something follows its frame");
  return memfd;
}

}  // namespace prewarm::image
