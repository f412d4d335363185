// SPDX-License-Identifier: MIT
//
// The ring's own thread: makes the tasks, and collects what has ended.
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "cold/ring.h"
#include "os/result.h"

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
  if (asleep.exchange(0) == 1) cold::wake_all(asleep);
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

void SpawnRing::State::run_thread() {
  std::int64_t patience = cold::kImpatient;
  for (;;) {
    start_pending();
    collect();
    asleep.store(1);
    bool more = false;
    {
      // Whoever adds a chain from here on sees that this is about to sleep.
      const std::lock_guard lock(mutex);
      more = !pending.empty();
      if (stopping && !more && under_way.empty()) break;
    }
    if (!more) sleep({&asleep, 1}, std::nullopt, patience);
    if (asleep.exchange(0) == 0) patience = cold::kImpatient;
  }
  if (!stays_parent.load()) return;
  ended.store(1);
  cold::wake_all(ended);
  for (;;) ::pause();
}

}  // namespace prewarm
