// SPDX-License-Identifier: MIT
#include "cold/blocks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace prewarm::cold {
namespace {

// The executor uses some hundred bytes and a buffer of 2 KiB; the kernel nothing, as no handler
// ever runs there.
constexpr std::size_t kStackBytes = 16384;
// Enough for a usual environment.
constexpr std::size_t kUsualRoom = 32768;
constexpr std::size_t kMostKept = 256;
constexpr std::size_t kLargestKept = std::size_t{256} << 10;

std::size_t whole_pages(std::size_t bytes, std::size_t page) {
  return (bytes + page - 1) & ~(page - 1);
}

}  // namespace

Blocks::~Blocks() {
  while (free_ != nullptr) {
    Block* block = free_;
    free_ = block->next;
    ::munmap(block->mapping, block->mapped);
  }
}

Block* Blocks::take(std::size_t bytes) {
  for (Block** link = &free_; *link != nullptr; link = &(*link)->next) {
    Block* block = *link;
    if (block->room.size() < bytes) continue;
    *link = block->next;
    --kept_;
    return block;
  }
  return map(std::max(bytes, kUsualRoom));
}

void Blocks::give(Block* block) {
  if (kept_ >= kMostKept || block->mapped > kLargestKept) {
    ::munmap(block->mapping, block->mapped);
    return;
  }
  block->next = free_;
  free_ = block;
  ++kept_;
}

Block* Blocks::map(std::size_t bytes) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  constexpr std::size_t kHeader = (sizeof(Block) + 63) / 64 * 64;
  const std::size_t stack = whole_pages(kStackBytes, page);
  const std::size_t mapped = page + stack + whole_pages(kHeader + bytes, page);
  const int sharing = shared_ ? MAP_SHARED : MAP_PRIVATE;
  void* memory = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | sharing, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* at = static_cast<std::byte*>(memory);
  ::mprotect(at, page, PROT_NONE);
  std::byte* header = at + page + stack;
  const std::span room(header + kHeader, at + mapped);
  return new (header) Block{nullptr, at, mapped, at + page, stack, room};
}

std::expected<Chain*, int> plan_in_block(std::span<const Operation> operations, Blocks& blocks) {
  std::size_t needed = sizeof(Chain) + operations.size() * sizeof(PlannedOperation);
  // At most twice: the first time tells how much it takes.
  for (int tries = 0; tries < 2 && needed <= kMostChainBytes; ++tries) {
    Block* const block = blocks.take(needed);
    if (block == nullptr) return std::unexpected(-ENOMEM);
    if (Chain* const chain = plan(operations, block->room, needed); chain != nullptr) {
      chain->block = block;
      return chain;
    }
    blocks.give(block);
  }
  return std::unexpected(-E2BIG);
}

}  // namespace prewarm::cold
