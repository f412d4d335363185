// SPDX-License-Identifier: MIT
//
// Which words of captured memory belong to one process alone, and which are addresses: found by
// comparing two captures in different arenas, whose stacks, random bytes, process ids and numbers
// of arguments differ.
#pragma once

#include <vector>

#include "image/capture.h"
#include "image/format.h"
#include "os/result.h"

namespace prewarm::image {

struct Differences {
  std::vector<ImagePatch> patches;    // that make the first capture fit another process, by address
  std::vector<std::uint64_t> slides;  // addresses of words that move with the arena, ascending
};

// An error if the captures differ in a word whose meaning isn't known: then nobody knows what it
// would have to become.
os::Result<Differences> compare_captures(const Capture& first, const Capture& second);

// Words that look like addresses in the arena, where there is no second capture to tell by. The
// arena is at random, and 44 bits of an address are: a number that looks like one by chance is as
// likely as a guessed canary.
std::vector<std::uint64_t> find_slides(const Capture& capture);

// Patches of another capture with the same ld.so and C library, for this one: by object and place
// in it, or by distance from the thread pointer. Words of `capture` that look like one process's
// own (an address of its stack, its canary, its pointer guard) and aren't among them get a patch if
// they are what a role says, and else are an error.
os::Result<std::vector<ImagePatch>> transfer_patches(const Capture& from,
                                                     const std::vector<ImagePatch>& patches,
                                                     const Capture& capture);

}  // namespace prewarm::image
