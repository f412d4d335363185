// SPDX-License-Identifier: MIT
//
// From pending to settled.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>

#include "cold/ring.h"
#include "os/clock.h"
#include "os/raw_syscall.h"

namespace prewarm {
namespace {

using cold::Chain;

// A program may go on for long, and nothing but looking tells when a detached one has ended.
constexpr std::int64_t kLookForDetached = 100'000'000;
// There are more words than one call can wait for: the others are looked at, too.
constexpr std::int64_t kLookForOthers = 1'000'000;
// A copy of the caller that is killed before it has registered its word leaves it as it is.
constexpr std::int64_t kLookForUnregistered = 20'000'000;

bool has_ended(pid_t child) {
  siginfo_t info{};
  const int flags = WEXITED | WNOHANG | WNOWAIT | __WALL;
  return ::waitid(P_PID, static_cast<id_t>(child), &info, flags) != 0 || info.si_pid == child;
}

bool is_over(const Chain& chain) {
  const std::uint32_t alive = chain.alive.load(std::memory_order_acquire);
  if (cold::has_left(alive)) return true;
  const bool unregistered = !chain.shares_memory && alive == 1;
  return unregistered && has_ended(chain.pid.load());
}

}  // namespace

void SpawnRing::State::start_pending() {
  for (;;) {
    Chain* chain = nullptr;
    {
      const std::lock_guard lock(mutex);
      chain = pending.take_first();
      if (chain == nullptr) return;
      under_way.add(chain);
    }
    start(*chain);
  }
}

cold::Started SpawnRing::State::start_by_backend(Chain& chain) {
  if (uring != nullptr) {
    const std::lock_guard lock(uring_mutex);
    return uring->start(chain);
  }
  if (backend == Backend::posix_spawn) return cold::start_posix_spawn(chain);
  return cold::start_task(chain, *chain.block, backend);
}

void SpawnRing::State::start(Chain& chain) {
  const Operation clone = chain.operations[0].what;
  cold::Started started = start_by_backend(chain);
  // With kExecuting the exec came first: what runs then is the program, which nobody may kill.
  const bool cancelled_meanwhile = started.under_way && chain.gate.load() == cold::kCancelled;
  // The task finds out by itself unless it hangs in an operation.
  if (cancelled_meanwhile) ::kill(started.pid, SIGKILL);
  {
    const std::lock_guard lock(mutex);
    if (started.pid > 0 && (clone.more & cold::kDetached) != 0) detached.push_back(started.pid);
    completions.post({clone.user_data, started.pid, clone.code, std::move(started.pidfd)});
    if (!started.under_way) chain.alive.store(0);
    chain.started = true;
  }
  completions.announce();
}

void SpawnRing::State::collect() {
  const std::lock_guard lock(mutex);
  ChainList over = under_way.take_if([](const Chain& c) { return c.started && is_over(c); });
  const bool any = !over.empty();
  while (Chain* chain = over.take_first()) settle(*chain);
  if (any) completions.announce();
  reap_detached();
}

void SpawnRing::State::settle(Chain& chain) {
  const bool ran_here = backend != Backend::posix_spawn && backend != Backend::io_uring;
  if (ran_here) cold::settle_task(chain);
  for (std::uint32_t i = 1; i < chain.count; ++i) {
    const cold::PlannedOperation& o = chain.operations[i];
    completions.post(o.what.user_data, o.what.code, o.result);
  }
  blocks.give(chain.block);
}

void SpawnRing::State::reap_detached() {
  std::erase_if(detached, [](pid_t pid) {
    siginfo_t info{};
    const int r = ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | __WALL);
    return r != 0 || info.si_pid == pid;
  });
}

int SpawnRing::State::sleep(cold::Expected first, std::optional<std::int64_t> until,
                            std::int64_t& patience_ns) {
  cold::Expected words[cold::kMostWords];
  std::size_t count = 0;
  words[count++] = first;
  const auto at_latest = [&until](std::int64_t pause) {
    const std::int64_t then = os::now_ns() + pause;
    until = until ? std::min(*until, then) : then;
  };
  const std::optional<std::int64_t> asked = until;
  {
    const std::lock_guard lock(mutex);
    if (!detached.empty()) at_latest(kLookForDetached);
    for (const Chain* chain = under_way.first(); chain != nullptr; chain = chain->next) {
      if (!chain->started) continue;
      const std::uint32_t alive = chain->alive.load(std::memory_order_acquire);
      if (cold::has_left(alive)) return 0;
      if (!chain->shares_memory && alive == 1) at_latest(kLookForUnregistered);
      if (count == cold::kMostWords) {
        at_latest(kLookForOthers);
        break;
      }
      words[count++] = {&chain->alive, alive};
    }
  }
  const int r = cold::wait_any(std::span(words, count), until, patience_ns);
  if (r == -ETIMEDOUT && (!asked || os::now_ns() < *asked)) return 0;
  return r;
}

}  // namespace prewarm
