// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace prewarm::image {

class ImageShelf;

struct ServiceOptions {
  std::string runtime_directory;
  ImageShelf* shelf = nullptr;  // images on the disk; null: none are kept there
  // A program and its first arguments; see spawner.h for the others. Empty: nothing is built.
  std::vector<std::string> builder;
  std::int64_t build_seconds = 300;
  std::uint64_t build_bytes = 8ULL << 30;  // RLIMIT_DATA of the builder
  std::int64_t unused_seconds = 600;       // until an image that nobody holds leaves memory
  std::uint64_t hot_bytes = 1ULL << 30;    // of images in memory; what is held may exceed it
  std::int64_t idle_seconds = 1800;        // without images, until the service ends; 0: never
  std::size_t watches = 0;                 // see FileWatch::make
  // So many regions are enough for every image, whatever is asked (MapRequest::fewest_regions).
  std::uint32_t enough_regions = UINT32_MAX;
};

}  // namespace prewarm::image
