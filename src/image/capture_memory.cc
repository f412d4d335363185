// SPDX-License-Identifier: MIT
#include "image/capture_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace prewarm::image {

std::span<const std::byte> CaptureMemory::file_bytes(const std::string& path) {
  auto known = files_.find(path);
  if (known == files_.end()) {
    auto file = MappedFile::open(path.c_str());
    if (!file) return {};
    known = files_.emplace(path, std::move(*file)).first;
  }
  return known->second.bytes();
}

bool CaptureMemory::read(std::uint64_t address, std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const auto* region = capture_.find(address);
    if (region == nullptr || region->protection == PROT_NONE) return false;
    const auto at = address - region->address;
    const auto size = std::min(out.size(), static_cast<std::size_t>(region->size - at));
    if (!region->bytes.empty()) {
      std::memcpy(out.data(), region->bytes.data() + at, size);
    } else if (!region->file.empty()) {
      const auto bytes = file_bytes(region->file);
      const auto offset = region->file_offset + at;
      if (bytes.empty() || offset > bytes.size()) return false;
      // The last page of a file ends with zeros.
      const auto there = std::min(size, bytes.size() - static_cast<std::size_t>(offset));
      std::memcpy(out.data(), bytes.data() + offset, there);
      std::memset(out.data() + there, 0, size - there);
    } else {
      std::memset(out.data(), 0, size);
    }
    out = out.subspan(size);
    address += size;
  }
  return true;
}

bool CaptureMemory::write(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    auto* region = capture_.find(address);
    if (region == nullptr || region->protection == PROT_NONE) return false;
    if (region->bytes.empty()) {
      std::vector<std::uint8_t> all(region->size);
      if (!read(region->address, all)) return false;
      region->bytes = std::move(all);
      region->file.clear();
    }
    const auto at = address - region->address;
    const auto size = std::min(bytes.size(), static_cast<std::size_t>(region->size - at));
    std::memcpy(region->bytes.data() + at, bytes.data(), size);
    bytes = bytes.subspan(size);
    address += size;
  }
  return true;
}

std::optional<std::string> CaptureMemory::string(std::uint64_t address, std::size_t most) {
  std::string text;
  while (text.size() < most) {
    const auto byte = get<char>(address + text.size());
    if (!byte) return {};
    if (*byte == '\0') return text;
    text.push_back(*byte);
  }
  return {};
}

}  // namespace prewarm::image
