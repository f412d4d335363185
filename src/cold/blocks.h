// SPDX-License-Identifier: MIT
//
// Memory for chains: each block has a stack for the task, with a page below it that nobody may
// touch, and behind it room for a planned chain. Blocks are kept and used again, so that after a
// while nothing is allocated any more.
#pragma once

#include <cstddef>
#include <expected>
#include <span>

#include "cold/plan.h"

namespace prewarm::cold {

struct Block {
  Block* next;
  std::byte* mapping;
  std::size_t mapped;  // bytes
  std::byte* stack;    // its lower end
  std::size_t stack_size;
  std::span<std::byte> room;
};

// Not safe for threads by itself.
class Blocks {
 public:
  // `shared`: forked children write to the same memory, not to a copy.
  explicit Blocks(bool shared) : shared_(shared) {}
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks();

  // One with at least that much room; null if there is no memory.
  Block* take(std::size_t bytes);
  void give(Block* block);

 private:
  Block* map(std::size_t bytes) const;

  const bool shared_;
  Block* free_ = nullptr;
  std::size_t kept_ = 0;
};

// Plans a chain that has been checked, in a block with enough room for it (Chain::block). -ENOMEM,
// or -E2BIG for more than kMostChainBytes.
std::expected<Chain*, int> plan_in_block(std::span<const Operation> operations, Blocks& blocks);

}  // namespace prewarm::cold
