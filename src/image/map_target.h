// SPDX-License-Identifier: MIT
//
// What a map request wants an image of.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "os/file_identity.h"

namespace prewarm::image {

enum class Variant : std::uint8_t { any, packed, plain };

struct MapTarget {
  os::FileIdentity program;
  std::uint64_t stack_limit = 0;
  Variant variant = Variant::any;
  std::string path;     // how it was called; the same file may have others
  std::string preload;  // what LD_PRELOAD names; empty: it isn't set

  // Whether an image of one is an image of the other.
  auto operator<=>(const MapTarget&) const = default;
};

}  // namespace prewarm::image
