// SPDX-License-Identifier: MIT
//
// Gives an image another place in the address space, so that the same one from the disk is
// somewhere else after each boot.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "image/format.h"
#include "os/result.h"

namespace prewarm::image {

using BootId = std::array<char, 16>;

// The boot that this is: the kernel's boot_id (random(4)).
os::Result<BootId> this_boot();

// The place nearest to `wanted` that the image can be moved to: as far from a multiple of its
// alignment as it is now, and with room for all of it.
std::uint64_t arena_near(const ImageHeader& header, std::uint64_t wanted);

// Moves the image in `bytes` so that its arena begins at `arena`: all addresses in it change by the
// same distance, but not those of a program that has its own. The bytes are checked as
// `Image::open` does, and left as they are on an error. Moved back, they are what they were; but
// for the boot, if it is given.
os::Result<void> move_image(std::span<std::uint8_t> bytes, std::uint64_t arena,
                            const std::optional<BootId>& boot = {});

}  // namespace prewarm::image
