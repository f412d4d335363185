// SPDX-License-Identifier: MIT
//
// Captures a program with its libraries packed: pack_plan.h decides which, ld.so maps all and makes
// its own data but doesn't relocate these, pack_link.h links them, pack_place.h says where they go,
// pack_move.h moves them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/capture.h"
#include "image/pack_link.h"
#include "os/result.h"

namespace prewarm::image {

struct PackDecision {
  std::string path;
  std::string why_kept;  // empty: it is packed
};

struct PackSummary {
  std::vector<PackDecision> libraries;  // in load order; without the program and the vDSO
  std::size_t packed = 0;               // of them
  std::size_t idle = 0;                 // packed ones whose constructors do nothing
  std::size_t groups = 0;               // of packed ones that share pages
  std::size_t mappings_before = 0, mappings_after = 0;  // of all of the capture
  std::uint64_t bytes_before = 0, bytes_after = 0;      // of the pages of packed ones
  std::uint64_t relocations = 0;                        // that were done by us
};

struct PackedCapture {
  Capture capture;
  PackSummary summary;
};

// As capture_program; its `leave_unrelocated` and `linked` are set here. Fails with ENOTSUP if this
// glibc's ld.so isn't known well enough: capture_program then still does.
// `with_large`: also libraries that gain nothing by it.
os::Result<PackedCapture> capture_packed(const std::string& path, CaptureOptions options,
                                         bool with_large = false);

}  // namespace prewarm::image
