// SPDX-License-Identifier: MIT
#include "image/checksum.h"

#include <xxhash.h>

#include <cstdlib>

namespace prewarm::image {

Checksum checksum_of(std::span<const std::uint8_t> bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.low64, hash.high64};
}

void ChecksumStream::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

ChecksumStream::ChecksumStream() : state_(XXH3_createState()) {
  if (state_ == nullptr) std::abort();  // like any allocation that fails here
  XXH3_128bits_reset(state_.get());
}

void ChecksumStream::add(std::span<const std::uint8_t> bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

Checksum ChecksumStream::sum() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return {hash.low64, hash.high64};
}

}  // namespace prewarm::image
