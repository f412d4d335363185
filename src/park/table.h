// SPDX-License-Identifier: MIT
//
// The pool table: one shared mapping that the owner of a pool, the processes it forks, and the
// parked processes all look at. It says which parked processes there are, what state each is in,
// and how brokered launches ended. Whoever wants a parked process claims its slot with one
// compare-and-swap here; everything else (the request, the descriptors) travels on a socket.
//
// Restrictions: included by the agent, so: plain data and lock-free atomics only.
#pragma once

#include <atomic>
#include <cstdint>

#include "os/file_identity.h"

namespace prewarm::park {

inline constexpr std::uint32_t kTableMagic = 0x4d524157;  // "WARM"
// Agent and owner must agree on every layout in this file and in launch/wire.h.
inline constexpr std::uint32_t kTableVersion = 5;

inline constexpr unsigned kMaxPrograms = 64;       // parked programs per pool
inline constexpr unsigned kSlotsPerProgram = 6;    // clones of one program, at most
inline constexpr unsigned kManifestBytes = 65536;  // identities and variables of one program

// A slot's life: empty -> parking -> idle -> claimed (-> granted) -> running -> exited -> empty.
//   empty    no process; the zygote may fill it
//   parking  the zygote is making a clone for it
//   idle     the clone waits for a request: claimable
//   claimed  somebody won the compare-and-swap and will send the request
//   granted  the request was sent before it was certain, and now it is (kRequestAwaitsGrant)
//   running  the clone has taken the request: from here on the launch is never repeated
//   exited   (brokered) the clone has ended, `status` holds its wait status for the claimer
enum class SlotState : std::uint32_t { empty, parking, idle, claimed, granted, running, exited };

// Who waits for a clone. Its parent is the pool's owner in both cases; a brokered clone serves a
// forked subshell of the owner, which can't wait for it: the owner passes the wait status on here.
enum class SlotKind : std::uint32_t { direct, brokered };

struct alignas(64) Slot {
  std::atomic<std::uint32_t> state;       // SlotState; also a futex word
  std::atomic<std::uint32_t> kind;        // SlotKind, set by the claimer
  std::atomic<std::uint32_t> generation;  // counts the clones that this slot has held
  std::atomic<std::int32_t> pid;          // valid from idle on
  std::atomic<std::int32_t> status;       // wait status, valid when exited
  std::atomic<std::int32_t> claimer;      // pid of who claimed it
  std::atomic<std::uint32_t> lost;        // its clone died with a request unread: drain the socket
};

// A program's life: vacant -> starting -> parked -> gone, or -> refused.
enum class ProgramState : std::uint32_t { vacant, starting, parked, refused, gone };

// Pages that an earlier clone of the program touched: a new clone touches them while it is still
// parked, so that its main doesn't have to fault for them one by one.
struct PageRange {
  std::uint64_t start;
  std::uint32_t pages;
  std::uint32_t written;  // 0: only read (file pages), 1: written (copied from the zygote)
};
inline constexpr unsigned kMaxPageRanges = 476;

// Learning happens twice, each time by one clone (agent_learn.cc): nothing is known -> one takes
// down what is in its page tables -> done -> one looks what was accessed -> done.
enum class LearnState : std::uint32_t { unknown, learning, present, looking, accessed };

// Pages of its own: a clone maps only these of the table.
struct alignas(4096) Program {
  std::atomic<std::uint32_t> state;        // ProgramState; also a futex word
  std::atomic<std::int32_t> pid;           // the zygote
  std::atomic<std::int32_t> owner;         // the pool's, as in Table
  std::atomic<std::uint32_t> clonable;     // 0: released itself, once, instead of through clones
  std::atomic<std::uint32_t> reason;       // launch::Reason when refused
  std::atomic<std::uint32_t> self_state;   // SlotState of the zygote itself (idle when claimable)
  std::atomic<std::uint32_t> want;         // idle clones to keep
  std::atomic<std::uint32_t> orders;       // raised to have slots filled; the zygote's futex word
  std::atomic<std::uint64_t> interrupted;  // signals for which a process refused a request
  std::atomic<std::uint32_t> releases;     // clones that have become the program
  std::atomic<std::uint32_t> learn_state;
  std::atomic<std::uint32_t> range_count;
  std::uint32_t manifest_used;  // bytes of manifest, valid from parked on
  Slot slots[kSlotsPerProgram];
  PageRange ranges[kMaxPageRanges];
};
static_assert(sizeof(Program) == 8192);

// The manifest of a parked program is a row of records, each with this head, then `text_size`
// bytes of text. For a file the text is its path, whether it is there or missing; for a variable
// NAME=VALUE, or NAME if it was not set.
enum class ManifestKind : std::uint32_t { file = 1, variable = 2, missing = 3 };

struct ManifestRecord {
  ManifestKind kind;
  std::uint32_t text_size;
  os::FileIdentity identity;  // of a file
};

struct Table {
  std::uint32_t magic;
  std::uint32_t version;
  std::atomic<std::int32_t> owner;  // pid of the process whose children all parked processes are
  Program programs[kMaxPrograms];
  alignas(4096) char manifests[kMaxPrograms][kManifestBytes];
};

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

inline std::uint32_t value_of(SlotKind kind) { return static_cast<std::uint32_t>(kind); }

inline SlotState state_of(const std::atomic<std::uint32_t>& word) {
  return static_cast<SlotState>(word.load(std::memory_order_acquire));
}

inline bool advance(std::atomic<std::uint32_t>& word, SlotState from, SlotState to) {
  auto expected = static_cast<std::uint32_t>(from);
  return word.compare_exchange_strong(expected, static_cast<std::uint32_t>(to),
                                      std::memory_order_acq_rel);
}

// Somebody has it, and its request has not been taken: nothing has happened yet.
inline bool awaits_request(SlotState s) {
  return s == SlotState::claimed || s == SlotState::granted;
}

// Clones that are ready, or about to be.
inline unsigned count_warm(const Program& program) {
  unsigned n = 0;
  for (const Slot& slot : program.slots) {
    const SlotState s = state_of(slot.state);
    n += s == SlotState::idle || s == SlotState::parking;
  }
  return n;
}

inline bool lacks_clones(const Program& program) {
  return count_warm(program) < program.want.load();
}

}  // namespace prewarm::park
