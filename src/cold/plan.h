// SPDX-License-Identifier: MIT
//
// Planning: a row of operations is checked and copied, with all that it points to, into one piece
// of memory. What comes out, a Chain, needs nothing of its caller any more and can be run by a task
// that shares the caller's memory. No system call is made here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "prewarm/spawn.h"

namespace prewarm::cold {

// How op::clone packs its options into an Operation: fd is the cgroup, other the exit signal, value
// the namespaces, and more these bits.
inline constexpr std::uint64_t kWantsPidfd = 1;
inline constexpr std::uint64_t kDetached = 2;

// op::exec keeps its environment, a pointer, in Operation::more.
template <class T>
std::uint64_t word(T* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}
template <class T>
T* pointer(std::uint64_t word) {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(word));
}

struct Block;

// What a chain may take at most, with all its strings: more than the kernel gives to arguments.
inline constexpr std::size_t kMostChainBytes = std::size_t{16} << 20;

// keep_only, planned: sorted by target. A source that is a target, too, has to get out of the way
// before anything is placed.
struct Placement {
  int source;
  int target;
  bool in_the_way;
};

struct PlannedOperation {
  Operation what;       // pointers lead into the chain's own memory
  std::int32_t result;  // the task writes it; until then -ECANCELED
};

struct Chain {
  // What the task reads.
  PlannedOperation* operations = nullptr;  // the first is clone
  std::uint32_t count = 0;
  std::uint64_t signal_mask = 0;  // at exec
  bool reset_handlers = false;    // the kernel's clone hasn't done it
  bool shares_memory = true;
  bool keeps_capabilities = false;  // an ambient capability is to outlive a change of user
  bool changes_identity = false;
  std::uint32_t awaited = 0;  // after this operation `told` is set and woken; 0: never
  pid_t parent = 0;           // for the death signal: process,
  pid_t parent_task = 0;      // and thread, that made the task

  // What the task writes.
  std::atomic<std::uint32_t> told{0};
  std::uint32_t at = 0;  // the operation under way; count: there was none left
  // Bits kExecuting and kCancelled. Whoever comes first wins: a chain that is cancelled will not
  // exec, and one that executes isn't killed.
  std::atomic<std::uint32_t> gate{0};

  // 0 once the task has left this memory, by exec or at its end: written, and woken as a futex, by
  // the kernel (CLONE_CHILD_CLEARTID). In a copy of the caller it has kOwnerDied then instead
  // (set_robust_list(2)).
  std::atomic<std::uint32_t> alive{0};

  // The ring's own.
  Chain* next = nullptr;
  Block* block = nullptr;  // where it lies
  std::atomic<pid_t> pid{0};
  std::uint64_t made = 0;  // ticks since boot, when there was a task
  bool started = false;    // and the completion of its clone posted
};
static_assert(std::is_trivially_destructible_v<Chain>);
static_assert(std::is_trivially_copyable_v<PlannedOperation>);

inline constexpr std::uint32_t kExecuting = 1;
inline constexpr std::uint32_t kCancelled = 2;
inline constexpr std::uint32_t kOwnerDied = 0x40000000;  // FUTEX_OWNER_DIED, <linux/futex.h>

inline bool has_left(std::uint32_t alive) { return alive == 0 || (alive & kOwnerDied) != 0; }
inline bool is_exec(OperationCode code) {
  return code == OperationCode::exec || code == OperationCode::exec_fd;
}
const char* operation_name(OperationCode code);

// Where the chain that begins at the front ends: behind the first operation that isn't linked.
std::size_t chain_length(std::span<const Operation> operations);

// 0 if each could be run: a clone, and behind it no other. Else -EINVAL.
int check_chain(std::span<const Operation> operations);
// 0 if its arguments could be right; else -EINVAL, -EFAULT, -EBADF or -E2BIG.
int check(const Operation& operation);

// Copies a chain that has been checked into `memory` (aligned for a Chain). `needed` is how much it
// takes; null if that is more than there is, or if what is copied changed meanwhile.
Chain* plan(std::span<const Operation> operations, std::span<std::byte> memory,
            std::size_t& needed);

}  // namespace prewarm::cold
