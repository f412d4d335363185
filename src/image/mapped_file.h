// SPDX-License-Identifier: MIT
//
// A file mapped read-only, for as long as this lives. Another process that truncates the file makes
// an access a SIGBUS: who can't have that reads the file into memory instead (file_reader.h).
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "os/result.h"

namespace prewarm::image {

class MappedFile {
 public:
  // Regular files only. An empty file is not mapped, and has no bytes.
  static os::Result<MappedFile> open(const char* path);

  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

}  // namespace prewarm::image
