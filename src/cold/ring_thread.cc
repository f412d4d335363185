// SPDX-License-Identifier: MIT
//
// The ring's own thread: makes the tasks, and collects what has ended.
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "cold/ring.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/result.h"
#include "os/scheduling.h"

namespace prewarm {
namespace {

// What it calls needs little; but libc puts thread-local data there, too, and that may be large.
constexpr std::size_t kStackBytes = std::size_t{128} << 10;

int create_thread(pthread_t& thread, void* (*enter)(void*), void* argument, std::size_t stack) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  if (stack != 0) ::pthread_attr_setstacksize(&attributes, stack);
  const int error = ::pthread_create(&thread, &attributes, enter, argument);
  ::pthread_attr_destroy(&attributes);
  return error;
}

}  // namespace

Result<void> SpawnRing::State::begin_thread() {
  // The thread takes none of the caller's signals. Those that libc sends it (setuid) it gets:
  // sigfillset leaves them out.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const auto enter = [](void* state) -> void* {
    static_cast<State*>(state)->run_thread();
    return nullptr;
  };
  int error = create_thread(thread, enter, this, kStackBytes);
  if (error != 0) error = create_thread(thread, enter, this, 0);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return os::failed_with(error, "start the ring's thread");
  has_thread = true;
  ::pthread_setname_np(thread, "prewarm-ring");
  return {};
}

void SpawnRing::State::tell_thread() {
  if (doing.exchange(busy) == asleep) os::futex_wake_all(doing);
}

void SpawnRing::State::end_thread() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  tell_thread();
  if (!stays_parent.load()) {
    ::pthread_join(thread, nullptr);
    return;
  }
  ::pthread_detach(thread);
  std::int64_t patience = cold::kImpatient;
  while (ended.load() == 0) {
    const cold::Expected word{&ended, 0};
    cold::wait_any({&word, 1}, std::nullopt, patience);
  }
}

bool SpawnRing::State::has_work() {
  const std::lock_guard lock(mutex);
  if (!pending.empty()) return true;
  for (const cold::Chain* c = under_way.first(); c != nullptr; c = c->next) {
    if (c->started && cold::has_left(c->alive.load(std::memory_order_acquire))) return true;
  }
  return false;
}

// True: there is something to do. False: there has been nothing for as long as was asked for.
bool SpawnRing::State::look_for_work() {
  if (options.awake_us == 0) return false;
  constexpr int kLooksAtOnce = 64;  // between those that take the lock
  const std::int64_t until = os::now_ns() + std::int64_t{options.awake_us} * 1000;
  doing.store(looking);
  while (os::now_ns() < until) {
    if (has_work()) return true;
    // Told of something: new work, or the end.
    for (int i = 0; i < kLooksAtOnce; ++i) {
      if (doing.load(std::memory_order_acquire) == busy) return has_work();
      os::relax();
    }
    // What it has just started may be waiting for this very processor.
    ::sched_yield();
  }
  return false;
}

void SpawnRing::State::run_thread() {
  std::int64_t patience = cold::kImpatient;
  for (;;) {
    start_pending();
    collect();
    if (look_for_work()) continue;
    doing.store(asleep);
    bool more = false;
    {
      // Whoever adds a chain from here on sees that this is about to sleep.
      const std::lock_guard lock(mutex);
      more = !pending.empty();
      if (stopping && !more && under_way.empty()) break;
    }
    if (!more) sleep({&doing, asleep}, std::nullopt, patience);
    if (doing.exchange(busy) == busy) patience = cold::kImpatient;
  }
  if (!stays_parent.load()) return;
  ended.store(1);
  os::futex_wake_all(ended);
  for (;;) ::pause();
}

}  // namespace prewarm
