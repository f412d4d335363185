// SPDX-License-Identifier: MIT
//
// The first steps of a capture: the program is executed and traced, and before the first
// instruction of its ld.so everything that the kernel has mapped is moved into the arena.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "image/capture.h"
#include "image/tracee.h"

namespace prewarm::image {

// Hands out addresses in the arena, from below, with an unused page after each. Memory that isn't
// of a file comes from a part of its own without such pages: ld.so asks for it page by page, and
// all shall be one mapping.
class Arena {
 public:
  Arena(std::uint64_t begin, std::uint64_t size)
      : begin_(begin),
        memory_next_(begin),
        memory_end_(begin + size / 16),
        next_(memory_end_ + kPageSize),
        end_(begin + size) {}
  // 0: there is no room.
  std::uint64_t take(std::uint64_t size);
  std::uint64_t take_memory(std::uint64_t size);
  std::uint64_t begin() const { return begin_; }
  std::uint64_t end() const { return next_; }

 private:
  std::uint64_t begin_, memory_next_, memory_end_, next_, end_;
};

// Executes the program as a traced child, stopped before its first instruction.
os::Result<std::unique_ptr<Tracee>> start_traced(const std::string& path,
                                                 const CaptureOptions& options);

// Moves the program (if it isn't bound to its addresses), ld.so and the vDSO into the arena, tells
// ld.so so in the auxiliary vector, and fills in what of `capture` is known by then. Returns the
// address of an instruction `syscall`.
os::Result<std::uint64_t> move_into_arena(Tracee& tracee, Arena& arena, Capture& capture);

}  // namespace prewarm::image
