// SPDX-License-Identifier: MIT
//
// Which words of captured memory belong to one process alone: found by comparing two captures at
// the same addresses, whose stacks, random bytes, process ids and numbers of arguments differ.
#pragma once

#include <vector>

#include "image/capture.h"
#include "image/format.h"
#include "os/result.h"

namespace prewarm::image {

// The patches that make `first` fit another process, by address. An error if the captures differ in
// a word whose meaning isn't known: then nobody knows what it would have to become.
os::Result<std::vector<ImagePatch>> derive_patches(const Capture& first, const Capture& second);

// Patches of another capture with the same ld.so and C library, for this one: by object and place
// in it, or by distance from the thread pointer. Words of `capture` that look like one process's
// own (an address of its stack, its canary, its pointer guard) and aren't among them are an error.
os::Result<std::vector<ImagePatch>> transfer_patches(const Capture& from,
                                                     const std::vector<ImagePatch>& patches,
                                                     const Capture& capture);

}  // namespace prewarm::image
