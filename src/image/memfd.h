// SPDX-License-Identifier: MIT
//
// Memory as a file: where images are while they are in use. And files as memory.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

// A new memfd of `size` zero bytes, closed on exec, that can be sealed. `name` is what
// /proc/PID/maps says of it.
os::Result<os::Fd> make_memfd(const char* name, std::uint64_t size);

// Nobody can change it any more: not its bytes, not its size, not its seals. There must be no
// writable mapping of it.
os::Result<void> seal(const os::Fd& memfd);
bool is_sealed(const os::Fd& memfd);

// A sealed memfd with these bytes.
os::Result<os::Fd> sealed_memfd(const char* name, std::span<const std::uint8_t> bytes);

// Writes all of it at `offset`.
os::Result<void> write_at(const os::Fd& fd, std::span<const std::uint8_t> bytes,
                          std::uint64_t offset);

// A mapping of a whole file. Who truncates the file takes the pages away from under it (SIGBUS):
// map what is sealed, or what nobody else can write to.
class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();

  static os::Result<Mapping> of(const os::Fd& fd);           // to read
  static os::Result<Mapping> writable_of(const os::Fd& fd);  // what is written is in the file

  std::span<const std::uint8_t> bytes() const { return bytes_; }
  // Only of one that is writable.
  std::span<std::uint8_t> writable_bytes() { return bytes_; }

 private:
  static os::Result<Mapping> map(const os::Fd& fd, int protection, int flags);

  std::span<std::uint8_t> bytes_;
};

}  // namespace prewarm::image
