// SPDX-License-Identifier: MIT
#include "cold/ring.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "cold/left_children.h"
#include "cold/plan.h"
#include "os/clock.h"
#include "os/raw_syscall.h"
#include "os/result.h"

namespace prewarm {
namespace {

using cold::Chain;

constexpr unsigned kMostEntries = 65536;
constexpr unsigned kMostCompletions = 65536;
constexpr unsigned kMostAwakeUs = 1'000'000;

std::uint64_t signal_mask_of_thread() {
  std::uint64_t mask = 0;
  os::raw_syscall(SYS_rt_sigprocmask, 0, 0, os::arg(&mask), sizeof mask);
  return mask;
}

std::unexpected<Error> not_ours() {
  return os::failed_with(EOWNERDEAD, "use a ring of the process that forked this one");
}

// The first that works here.
Result<Backend> choose(Backend wanted) {
  if (wanted == Backend::io_uring) return wanted;  // depends on the options, see create
  if (wanted != Backend::automatic) {
    if (auto works = probe(wanted); !works) return std::unexpected(works.error());
    return wanted;
  }
  for (const Backend backend : {Backend::shared_memory, Backend::vfork}) {
    if (probe(backend)) return backend;
  }
  return choose(Backend::fork);
}

}  // namespace

SpawnRing::State::State(const RingOptions& wanted, Backend chosen, unsigned entry_count,
                        unsigned completion_count)
    : options(wanted),
      backend(chosen),
      owner(::getpid()),
      entries(entry_count),
      completions(completion_count),
      blocks(chosen == Backend::fork) {
  queue.reserve(entries);
}

SpawnRing::State::~State() {
  // What has not begun never will; its completions nobody can ask for any more.
  {
    const std::lock_guard lock(mutex);
    while (Chain* chain = pending.take_first()) blocks.give(chain->block);
  }
  if (has_thread) {
    end_thread();
  } else {
    std::int64_t patience = cold::kImpatient;
    const cold::Word never{0};
    for (collect(); !under_way.empty(); collect()) sleep({&never, 0}, std::nullopt, patience);
  }
  // Programs that still run, and that the ring was to wait for.
  for (const pid_t pid : detached) cold::leave_child(pid, Fd());
}

// Takes a chain over; room for its completions is there.
void SpawnRing::State::accept(std::span<const Operation> chain, std::uint64_t signal_mask) {
  bool fine = cold::check_chain(chain) == 0;
  for (const Operation& o : chain) fine = fine && cold::check(o) == 0;
  if (!fine) return refuse(chain, -ECANCELED);

  const auto planned = cold::plan_in_block(chain, blocks);
  if (!planned) return refuse(chain, planned.error());
  Chain* const taken = *planned;
  taken->signal_mask = signal_mask;
  taken->alive.store(1);
  for (const Operation& o : chain) {
    if (o.code == OperationCode::death_signal && has_thread) stays_parent.store(true);
  }
  pending.add(taken);
}

// Completes each operation of what can't be taken, and says what is wrong with which. If none of
// them is wrong by itself, then the clone says `clone_result`.
void SpawnRing::State::refuse(std::span<const Operation> chain, int clone_result) {
  const bool is_chain = cold::check_chain(chain) == 0;
  for (const Operation& o : chain) {
    int result = is_chain ? cold::check(o) : -EINVAL;
    if (result == 0) result = o.code == OperationCode::clone ? clone_result : -ECANCELED;
    completions.post(o.user_data, o.code, result);
  }
  completions.announce();
}

Result<SpawnRing> SpawnRing::create(const RingOptions& options) {
  if (options.entries == 0 || options.entries > kMostEntries ||
      options.completions > kMostCompletions || options.awake_us > kMostAwakeUs) {
    return os::failed_with(EINVAL, "create a ring with these options");
  }
  const unsigned entries = std::bit_ceil(options.entries);
  const unsigned wanted = options.completions != 0 ? options.completions : entries * 4;
  const unsigned completions = std::min(std::bit_ceil(wanted), kMostCompletions);
  if (completions < entries) return os::failed_with(EINVAL, "create a ring of that size");
  const auto backend = choose(options.backend);
  if (!backend) return std::unexpected(backend.error());
  cold::reap_left_children();
  auto state = std::make_unique<State>(options, *backend, entries, completions);
  if (*backend == Backend::io_uring) {
    auto uring = cold::IoUring::create(options.opcode_clone, options.opcode_exec);
    if (!uring) return std::unexpected(uring.error());
    state->uring = std::move(*uring);
  }
  if (options.own_task) {
    if (auto begun = state->begin_thread(); !begun) return std::unexpected(begun.error());
  }
  return SpawnRing(std::move(state));
}

SpawnRing::SpawnRing(std::unique_ptr<State> state) : state_(std::move(state)) {}
SpawnRing::SpawnRing(SpawnRing&&) noexcept = default;
SpawnRing& SpawnRing::operator=(SpawnRing&& other) noexcept {
  SpawnRing old(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

SpawnRing::~SpawnRing() {
  // In a forked child the thread isn't there, and locks may be held by threads that aren't.
  if (state_ != nullptr && state_->owner != ::getpid()) static_cast<void>(state_.release());
}

bool SpawnRing::push(const Operation& operation) {
  State& s = *state_;
  if (s.owner != ::getpid()) return false;
  const std::lock_guard lock(s.mutex);
  if (s.queue.size() >= s.entries) return false;
  s.queue.push_back(operation);
  return true;
}

bool SpawnRing::push_chain(std::span<const Operation> operations) {
  State& s = *state_;
  if (s.owner != ::getpid()) return false;
  const std::lock_guard lock(s.mutex);
  if (operations.size() > s.entries - s.queue.size()) return false;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    s.queue.push_back(operations[i]);
    const bool last = i + 1 == operations.size();
    if (last) {
      s.queue.back().linked = s.queue.back().hard_linked = false;
    } else {
      s.queue.back().linked = true;
    }
  }
  return true;
}

Result<unsigned> SpawnRing::submit() {
  State& s = *state_;
  if (s.owner != ::getpid()) return not_ours();
  const std::uint64_t mask = signal_mask_of_thread();
  unsigned count = 0;
  {
    const std::lock_guard lock(s.mutex);
    count = static_cast<unsigned>(s.queue.size());
    if (count == 0) return 0;
    if (!s.completions.reserve(count)) {
      return os::failed_with(EBUSY, "submit: completions must be reaped first");
    }
    for (std::span<const Operation> rest(s.queue); !rest.empty();) {
      const std::size_t length = cold::chain_length(rest);
      s.accept(rest.first(length), mask);
      rest = rest.subspan(length);
    }
    s.queue.clear();
  }
  if (s.has_thread) {
    s.tell_thread();
  } else {
    s.start_pending();
    s.collect();
  }
  return count;
}

unsigned SpawnRing::reap(std::span<Completion> completions) {
  State& s = *state_;
  if (s.owner != ::getpid()) return 0;
  if (!s.has_thread) s.collect();
  return s.completions.take(completions);
}

Result<unsigned> SpawnRing::wait(std::span<Completion> completions, int timeout_ms) {
  State& s = *state_;
  if (s.owner != ::getpid()) return not_ours();
  if (completions.empty()) return os::failed_with(EINVAL, "wait without room for a completion");
  std::optional<std::int64_t> until;
  if (timeout_ms >= 0) until = os::now_ns() + timeout_ms * os::kNsPerMs;
  std::int64_t patience = cold::kImpatient;
  // Before looking, so that whatever comes after is noticed.
  s.completions.begin_wait();
  int r = 0;
  unsigned count = 0;
  for (;;) {
    const cold::Expected changes{&s.completions.changes(), s.completions.changes().load()};
    count = reap(completions);
    if (count != 0 || r != 0 || outstanding() == 0) break;
    r = s.has_thread ? cold::wait_any({&changes, 1}, until, patience)
                     : s.sleep(changes, until, patience);
  }
  s.completions.end_wait();
  if (count == 0 && r == -EINTR) return os::failed_with(EINTR, "wait for a completion");
  return count;
}

unsigned SpawnRing::outstanding() const {
  return state_->owner == ::getpid() ? state_->completions.outstanding() : 0;
}

int SpawnRing::pollable() const {
  return state_->has_thread && state_->owner == ::getpid() ? state_->completions.pollable() : -1;
}

Result<void> SpawnRing::cancel(std::uint64_t user_data) {
  State& s = *state_;
  if (s.owner != ::getpid()) return not_ours();
  const auto is_it = [user_data](const Chain& chain) {
    return chain.operations[0].what.user_data == user_data;
  };
  const std::lock_guard lock(s.mutex);
  ChainList dropped = s.pending.take_if(is_it);
  if (!dropped.empty()) {
    while (Chain* chain = dropped.take_first()) {
      for (std::uint32_t i = 0; i < chain->count; ++i) {
        const cold::PlannedOperation& o = chain->operations[i];
        s.completions.post(o.what.user_data, o.what.code, -ECANCELED);
      }
      s.blocks.give(chain->block);
    }
    s.completions.announce();
    return {};
  }
  for (Chain* chain = s.under_way.first(); chain != nullptr; chain = chain->next) {
    if (!is_it(*chain)) continue;
    if ((chain->gate.fetch_or(cold::kCancelled) & cold::kExecuting) != 0 ||
        cold::has_left(chain->alive.load())) {
      return os::failed_with(EALREADY, "cancel a chain");
    }
    // It will not exec any more, so this can't hit the program. If there is no pid yet, then
    // whoever starts it looks at the gate afterwards.
    if (const pid_t pid = chain->pid.load(); pid > 0) ::kill(pid, SIGKILL);
    return {};
  }
  const bool over = s.completions.holds(user_data, OperationCode::clone);
  return os::failed_with(over ? EALREADY : ENOENT, "cancel a chain");
}

Backend SpawnRing::backend() const { return state_->backend; }

}  // namespace prewarm
