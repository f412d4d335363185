// SPDX-License-Identifier: MIT
//
// XXH3, 128 bits (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md), with seed 0. It finds
// damage; it is no protection against somebody who makes images on purpose.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

struct XXH3_state_s;

namespace prewarm::image {

using Checksum = std::array<std::uint64_t, 2>;  // the low word first

Checksum checksum_of(std::span<const std::uint8_t> bytes);

// The same of bytes that come in pieces.
class ChecksumStream {
 public:
  ChecksumStream();
  void add(std::span<const std::uint8_t> bytes);
  Checksum sum() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace prewarm::image
