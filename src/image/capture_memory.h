// SPDX-License-Identifier: MIT
//
// The memory of a captured process, whether its bytes are in the capture or still in files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "image/capture.h"
#include "image/mapped_file.h"

namespace prewarm::image {

class CaptureMemory {
 public:
  // `capture` must live as long, and keep its regions as they are.
  explicit CaptureMemory(Capture& capture) : capture_(capture) {}

  // Copies `out.size()` bytes, over as many regions as that takes. False if a part of them is in no
  // region, or its file can't be read.
  bool read(std::uint64_t address, std::span<std::uint8_t> out);
  // Overwrites bytes. A region whose contents were those of a file has its own from then on. False
  // if a part of them is in no region.
  bool write(std::uint64_t address, std::span<const std::uint8_t> bytes);

  template <class T>
  std::optional<T> get(std::uint64_t address) {
    T value{};
    if (!read(address, {reinterpret_cast<std::uint8_t*>(&value), sizeof value})) return {};
    return value;
  }
  std::uint64_t word(std::uint64_t address) { return get<std::uint64_t>(address).value_or(0); }
  template <class T>
  bool put(std::uint64_t address, const T& value) {
    return write(address, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
  }
  // Up to its NUL; nothing if that isn't within the first `most` bytes.
  std::optional<std::string> string(std::uint64_t address, std::size_t most = 4096);

 private:
  std::span<const std::byte> file_bytes(const std::string& path);

  Capture& capture_;
  std::map<std::string, MappedFile> files_;
};

}  // namespace prewarm::image
