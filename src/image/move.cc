// SPDX-License-Identifier: MIT
#include "image/move.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "image/checksum.h"
#include "image/image.h"
#include "os/fd.h"

namespace prewarm::image {
namespace {

template <class T>
std::span<T> table(std::span<std::uint8_t> bytes, const ImageTable& where) {
  return {reinterpret_cast<T*>(bytes.data() + where.offset), where.count};
}

// Adds the distance to addresses that are in the arena as it was.
class Mover {
 public:
  Mover(const ImageHeader& header, std::uint64_t arena)
      : begin_(header.arena_begin), end_(header.arena_end), distance_(arena - begin_) {}

  void operator()(std::uint64_t& address) const {
    // Only the addresses of a program that has its own are outside. What isn't there is 0.
    if (address >= begin_ && address < end_) address += distance_;
  }
  // A word of the contents; it may point behind the arena's last byte.
  void operator()(std::uint8_t* word) const {
    std::uint64_t address;
    std::memcpy(&address, word, sizeof address);
    address += distance_;
    std::memcpy(word, &address, sizeof address);
  }
  void operator()(ImageHeader& header) const {
    for (std::uint64_t* address :
         {&header.start, &header.entry, &header.program_headers, &header.loader_base,
          &header.unmap_gadget, &header.thread.thread_pointer, &header.thread.tid_address,
          &header.thread.robust_list, &header.thread.rseq_area, &header.vdso.address,
          &header.vdso.code}) {
      (*this)(*address);
    }
    header.arena_begin += distance_;
    header.arena_end += distance_;
  }

 private:
  std::uint64_t begin_, end_, distance_;
};

}  // namespace

os::Result<BootId> this_boot() {
  constexpr const char* kPath = "/proc/sys/kernel/random/boot_id";
  const os::Fd fd(::open(kPath, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return os::failed("open", kPath);
  char text[64];
  const ssize_t n = ::read(fd.get(), text, sizeof text);
  if (n < 0) return os::failed("read", kPath);
  // 32 hexadecimal digits and 4 hyphens.
  BootId boot{};
  std::size_t digits = 0;
  for (const char c : std::span(text).first(static_cast<std::size_t>(n))) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) continue;
    if (digits == 2 * boot.size()) return os::failed_with(EINVAL, "understand", kPath);
    char& byte = boot[digits++ / 2];
    byte = static_cast<char>(static_cast<unsigned char>(byte) * 16 + digit);
  }
  if (digits != 2 * boot.size()) return os::failed_with(EINVAL, "understand", kPath);
  return boot;
}

std::uint64_t arena_near(const ImageHeader& header, std::uint64_t wanted) {
  const std::uint64_t unit = header.alignment;
  const std::uint64_t remainder = header.arena_begin % unit;
  const std::uint64_t lowest = round_up(kArenaLowest - remainder, unit) + remainder;
  // Not below the lowest: where the image is now is such a place.
  const std::uint64_t room = kArenaHighest - (header.arena_end - header.arena_begin);
  const std::uint64_t highest = (room - remainder) / unit * unit + remainder;
  if (wanted <= lowest) return lowest;
  if (wanted >= highest) return highest;
  return (wanted - remainder) / unit * unit + remainder;
}

os::Result<void> move_image(std::span<std::uint8_t> bytes, std::uint64_t arena,
                            const std::optional<BootId>& boot) {
  const auto image = Image::open(bytes);
  if (!image) return std::unexpected(image.error());
  auto& header = *reinterpret_cast<ImageHeader*>(bytes.data());
  if (arena != arena_near(header, arena)) return os::failed_with(EINVAL, "move the image");

  const Mover move(header, arena);
  for (ImageRegion& region : table<ImageRegion>(bytes, header.regions)) move(region.address);
  for (ImagePatch& patch : table<ImagePatch>(bytes, header.patches)) move(patch.address);
  for (const ImageSlide& slide : image->slides()) move(bytes.data() + slide.offset);
  move(header);
  if (boot) std::ranges::copy(*boot, header.boot);
  std::ranges::copy(checksum_of(bytes.subspan(kChecksummedFrom)), header.checksum);
  return {};
}

}  // namespace prewarm::image
