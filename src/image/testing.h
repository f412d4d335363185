// SPDX-License-Identifier: MIT
//
// For tests only: parts of a small image that is valid in all, and bytes of images.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "image/checksum.h"
#include "image/image.h"
#include "image/memfd.h"
#include "image/writer.h"

namespace prewarm::image {

inline constexpr std::uint64_t kTestArena = 0x2000'0000'0000;

// What regions are made of here: outlives the parts that refer to it.
struct TestMemory {
  std::vector<std::uint8_t> text = std::vector<std::uint8_t>(kPageSize, 0x90);
  std::vector<std::uint8_t> data = std::vector<std::uint8_t>(2 * kPageSize - 100);

  TestMemory() {
    put(0x10, kTestArena);
    put(0x20, kTestArena + 0x1234);
    put(kPageSize - 3, kTestArena + 0x4567);  // not aligned, and in two pages
    put(0x800, 0x1122334455667788);
  }
  void put(std::uint64_t offset, std::uint64_t word) {
    std::memcpy(data.data() + offset, &word, sizeof word);
  }

  ImageParts parts() const;
};

// text, data (with thread structures), zeros, a page of a file, and a fixed program's page.
inline ImageParts TestMemory::parts() const {
  constexpr std::uint32_t kText = PROT_READ | PROT_EXEC, kData = PROT_READ | PROT_WRITE;
  ImageParts parts;
  ImageHeader& h = parts.header;
  h.key[0] = 0x1111;
  h.key[1] = 0x2222;
  h.arena_begin = kTestArena;
  h.arena_end = kTestArena + 0x100'0000;
  h.start = h.unmap_gadget = kTestArena + 0x10;
  h.entry = 0x400'010;
  h.program_headers = 0x400'000;
  h.loader_base = kTestArena;
  h.objects = 3;
  const std::uint64_t data_begin = kTestArena + 0x1000;
  h.thread = {data_begin + 0x100, data_begin + 0x200, data_begin + 0x300, 24, 0, 0, 0};
  h.vdso = {kTestArena + 0x80'0000, 0x6000, kTestArena + 0x80'4000, {0x4000, 0x2000}};
  h.conditions.vdso_size = h.vdso.size;

  parts.files = {{"/usr/bin/program", {.size = 0x1800, .flags = kFileProgram | kFileMapped}},
                 {"/lib64/ld.so", {.size = 0x4000, .flags = kFileLoader}},
                 {"/etc/ld.so.preload", {.flags = kFileAbsent}}};
  parts.regions = {{data_begin, data.size() + 100, kData, 0, {}, 0, data},
                   {kTestArena, text.size(), kText, 0, {}, 0, text},
                   {kTestArena + 0x10000, 0x40000, kData, 0, {}, 0, {}},
                   {0x400'000, 0x1000, kText, 0, 0, 0x1000, {}}};
  parts.patches = {{data_begin + 0x90c, PatchRole::argc, 0},
                   {data_begin + 0x800, PatchRole::canary, 0},
                   {kTestArena + 0x10000, PatchRole::environment, 0}};
  parts.slides = {data_begin + 0x20, data_begin + 0x10, data_begin + kPageSize - 3};
  return parts;
}

// An image's bytes, aligned as memory is; nothing if it could not be made.
inline std::vector<std::uint8_t> written(ImageParts parts) {
  auto fd = write_image(std::move(parts));
  EXPECT_TRUE(fd) << fd.error().message();
  if (!fd) return {};
  auto mapping = Mapping::of(*fd);
  EXPECT_TRUE(mapping) << mapping.error().message();
  if (!mapping) return {};
  return {mapping->bytes().begin(), mapping->bytes().end()};
}

inline ImageHeader& header_of(std::vector<std::uint8_t>& bytes) {
  return *reinterpret_cast<ImageHeader*>(bytes.data());
}

template <class T>
T* entries(std::vector<std::uint8_t>& bytes, const ImageTable& table) {
  return reinterpret_cast<T*>(bytes.data() + table.offset);
}

// Makes the checksum fit bytes that a test has changed.
inline void correct_checksum(std::span<std::uint8_t> bytes) {
  const Checksum sum = checksum_of(bytes.subspan(kChecksummedFrom));
  std::memcpy(bytes.data() + offsetof(ImageHeader, checksum), sum.data(), sizeof sum);
}

}  // namespace prewarm::image
