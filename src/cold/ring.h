// SPDX-License-Identifier: MIT
//
// What a ring is made of. A chain goes from the submission queue to `pending`, is started (by
// the ring's own thread, or by submit), is `under_way` until its task has left this memory, and is
// then settled: its completions are posted, and its memory is used for the next.
#pragma once

#include <pthread.h>

#include <atomic>
#include <mutex>
#include <vector>

#include "cold/backend.h"
#include "cold/blocks.h"
#include "cold/completions.h"
#include "cold/futex.h"
#include "cold/io_uring.h"
#include "prewarm/spawn.h"

namespace prewarm {

// First in, first out; linked by Chain::next.
class ChainList {
 public:
  using Chain = cold::Chain;

  bool empty() const { return first_ == nullptr; }
  Chain* first() const { return first_; }
  void add(Chain* chain) {
    chain->next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = chain;
    last_ = chain;
  }
  Chain* take_first() {
    Chain* chain = first_;
    if (chain != nullptr) first_ = chain->next;
    return chain;
  }
  // Those for which `wanted` is true.
  template <class Predicate>
  ChainList take_if(Predicate wanted) {
    ChainList taken;
    ChainList left;
    while (Chain* chain = take_first()) (wanted(*chain) ? taken : left).add(chain);
    *this = left;
    return taken;
  }

 private:
  Chain* first_ = nullptr;
  Chain* last_ = nullptr;  // if there is a first
};

struct SpawnRing::State {
  using Chain = cold::Chain;

  State(const RingOptions& options, Backend backend, unsigned entries, unsigned completions);
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  const RingOptions options;
  const Backend backend;
  const pid_t owner;
  const unsigned entries;

  std::unique_ptr<cold::IoUring> uring;  // of that backend
  std::mutex uring_mutex;

  cold::Completions completions;  // has a mutex of its own, which is taken last

  std::mutex mutex;  // for what follows
  std::vector<Operation> queue;
  cold::Blocks blocks;
  ChainList pending;
  ChainList under_way;
  std::vector<pid_t> detached;  // programs that run, and that nobody else will wait for
  bool stopping = false;

  // ---- The submitter's side (ring.cc)
  void accept(std::span<const Operation> chain, std::uint64_t signal_mask);
  void refuse(std::span<const Operation> chain, int clone_result);

  // ---- Chains (ring_chains.cc); the mutex is not held
  // Starts what is pending. Without a thread of its own any thread may do it.
  void start_pending();
  // Settles what has ended.
  void collect();
  // Until a chain that is under way may have ended, or `first` may have changed. -EINTR,
  // -ETIMEDOUT, or 0.
  int sleep(cold::Expected first, std::optional<std::int64_t> until, std::int64_t& patience_ns);

  // ---- The ring's own thread (ring_thread.cc)
  Result<void> begin_thread();
  void end_thread();
  void tell_thread();
  void run_thread();
  bool look_for_work();
  bool has_work();

  pthread_t thread{};
  bool has_thread = false;
  // What the thread does; it is told of new work by setting this to busy.
  enum : std::uint32_t { busy, asleep, looking };
  cold::Word doing{busy};
  cold::Word ended{0};                    // 1: the thread doesn't touch this any more
  std::atomic<bool> stays_parent{false};  // children are signalled when the thread ends: it doesn't

 private:
  void start(Chain& chain);
  cold::Started start_by_backend(Chain& chain);
  void settle(Chain& chain);
  void reap_detached();
};

}  // namespace prewarm
