// SPDX-License-Identifier: MIT
#include "cold/posix_spawn.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <optional>
#include <span>

#include "cold/backend.h"
#include "cold/blocks.h"
#include "cold/executor_libc.h"
#include "cold/libc_actions.h"
#include "cold/signals_blocked.h"
#include "os/raw_syscall.h"
#include "prewarm/posix_spawn.h"
#include "prewarm/spawn.h"

namespace prewarm::cold {
namespace {

using os::raw_syscall;

// ---- What the call asks for --------------------------------------------------------------------

constexpr int kKnownFlags = POSIX_SPAWN_RESETIDS | POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                            POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSCHEDPARAM |
                            POSIX_SPAWN_SETSCHEDULER | POSIX_SPAWN_USEVFORK | POSIX_SPAWN_SETSID;

struct Attributes {
  short flags = 0;
  pid_t group = 0;
  sigset_t defaults{};
  sigset_t mask{};
  sched_param priority{};
  int policy = 0;

  bool has(int flag) const { return (flags & flag) != 0; }
};

// The C library has functions to ask for them, so its layout doesn't matter.
std::optional<Attributes> read_attributes(const posix_spawnattr_t* object) {
  Attributes found;
  if (object == nullptr) return found;
  ::posix_spawnattr_getflags(object, &found.flags);
  if ((found.flags & ~kKnownFlags) != 0) return std::nullopt;
  ::posix_spawnattr_getpgroup(object, &found.group);
  ::posix_spawnattr_getsigdefault(object, &found.defaults);
  ::posix_spawnattr_getsigmask(object, &found.mask);
  ::posix_spawnattr_getschedparam(object, &found.priority);
  ::posix_spawnattr_getschedpolicy(object, &found.policy);
  return found;
}

// sched_setparam(2) as what the ring has: the new task's own policy, with another priority. It has
// inherited the caller's, but for one that ends at a fork (sched(7), SCHED_RESET_ON_FORK).
int inherited_policy() {
  const auto policy = static_cast<int>(raw_syscall(SYS_sched_getscheduler, 0));
  const int plain = policy & ~SCHED_RESET_ON_FORK;
  const bool ends = plain != policy && (plain == SCHED_FIFO || plain == SCHED_RR);
  return ends ? SCHED_OTHER : plain;
}

// ---- Memory ------------------------------------------------------------------------------------

// For one call: the task's stack, and above it the chain. Mapped, because posix_spawn is called
// from places where malloc isn't safe. One mapping is kept for the next call.
class CallMemory {
 public:
  static constexpr std::size_t kStackBytes = std::size_t{32} << 10;
  static constexpr std::size_t kUsualBytes = std::size_t{64} << 10;

  // With room for `bytes` above the stack, alignment included.
  explicit CallMemory(std::size_t bytes)
      : size_(bytes <= kUsualBytes - kStackBytes ? kUsualBytes : kStackBytes + bytes) {
    if (size_ == kUsualBytes) memory_ = spare.exchange(nullptr, std::memory_order_acquire);
    if (memory_ != nullptr) return;
    // By the C library, so that a sanitizer learns that what the last owner wrote there is gone.
    void* const mapping = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (mapping != MAP_FAILED) memory_ = static_cast<std::byte*>(mapping);
  }
  CallMemory(const CallMemory&) = delete;
  CallMemory& operator=(const CallMemory&) = delete;
  ~CallMemory() {
    std::byte* rest = memory_;
    if (size_ == kUsualBytes) rest = spare.exchange(rest, std::memory_order_release);
    if (rest != nullptr) ::munmap(rest, size_);
  }

  bool valid() const { return memory_ != nullptr; }
  Block stack() const {
    return {.next = nullptr,
            .mapping = memory_,
            .mapped = size_,
            .stack = memory_,
            .stack_size = kStackBytes,
            .room = {}};
  }

  template <class T>
  T* take(std::size_t count = 1) {
    static_assert(alignof(T) <= kAlignment);
    T* const place = reinterpret_cast<T*>(memory_ + used_);
    used_ += needed<T>(count);
    return place;
  }
  template <class T>
  static constexpr std::size_t needed(std::size_t count = 1) {
    return (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  static constexpr std::size_t kAlignment = 16;
  static std::atomic<std::byte*> spare;

  std::size_t size_;
  std::byte* memory_ = nullptr;
  std::size_t used_ = kStackBytes;
};

std::atomic<std::byte*> CallMemory::spare{nullptr};

// ---- The chain ---------------------------------------------------------------------------------

Operation libc_operation(OperationCode code, int fd = -1) {
  Operation o;
  o.code = code;
  o.fd = fd;
  return o;
}

Operation operation_of(const FileAction& action) {
  switch (action.kind) {
    case FileAction::Kind::close:
      return libc_operation(libc::kClose, action.of.fd);
    case FileAction::Kind::dup:
      return op::dup(action.of.fd, action.of.to);
    case FileAction::Kind::open: {
      Operation o = libc_operation(libc::kOpen, action.of.fd);
      o.data = action.path;
      o.other = action.flags;
      o.value = action.mode;
      return o;
    }
    case FileAction::Kind::chdir:
      return op::chdir(action.directory);
    case FileAction::Kind::fchdir:
      return op::fchdir(action.of.fd);
    case FileAction::Kind::close_from:
      return op::close_range(static_cast<unsigned>(action.of.fd), ~0U);
    case FileAction::Kind::foreground:
      break;
  }
  return op::foreground(action.of.fd);
}

// Operations one behind the other, in memory that has room for them.
class Row {
 public:
  explicit Row(PlannedOperation* operations) : operations_(operations) {}

  void add(const Operation& operation) {
    new (operations_ + count_++) PlannedOperation{operation, 0};
  }

  // In glibc's order; the signal mask is the chain's.
  void add(const Attributes& attributes) {
    if (attributes.has(POSIX_SPAWN_SETSIGDEF)) add(op::signal_default(attributes.defaults));
    const int priority = attributes.priority.sched_priority;
    if (attributes.has(POSIX_SPAWN_SETSCHEDULER)) {
      add(op::scheduler(attributes.policy, priority));
    } else if (attributes.has(POSIX_SPAWN_SETSCHEDPARAM)) {
      add(op::scheduler(inherited_policy(), priority));
    }
    if (attributes.has(POSIX_SPAWN_SETSID)) add(op::setsid());
    if (attributes.has(POSIX_SPAWN_SETPGROUP)) add(op::setpgid(attributes.group));
    if (attributes.has(POSIX_SPAWN_RESETIDS)) add(op::reset_ids());
  }
  static constexpr std::size_t kMostAttributes = 5;

  std::uint32_t count() const { return count_; }

 private:
  PlannedOperation* operations_;
  std::uint32_t count_ = 0;
};

std::size_t count_strings(char* const* strings) {
  std::size_t count = 0;
  while (strings[count] != nullptr) ++count;
  return count;
}

// {kShell, the file's name, and argv from its second on}
const char** script_arguments(CallMemory& memory, char* const* argv, std::size_t count) {
  const char** const script = memory.take<const char*>(count + 2);
  script[0] = libc::kShell;
  script[1] = nullptr;  // the executor's to set
  for (std::size_t i = 1; i < count; ++i) script[i + 1] = argv[i];
  script[count < 1 ? 2 : count + 1] = nullptr;
  return script;
}

struct Needs {
  std::size_t operations;
  std::size_t script;  // pointers

  std::size_t bytes() const {
    return CallMemory::needed<Chain>() + CallMemory::needed<libc::ExecRequest>() +
           CallMemory::needed<PlannedOperation>(operations) +
           CallMemory::needed<const char*>(script);
  }
};

Chain& build_chain(CallMemory& memory, const PosixSpawn& call, const Attributes& attributes,
                   std::span<const FileAction> actions, const Needs& needs) {
  auto* const chain = new (memory.take<Chain>()) Chain;
  chain->operations = memory.take<PlannedOperation>(needs.operations);
  Row row(chain->operations);
  row.add(op::clone({.pidfd = false}));
  row.add(attributes);
  for (const FileAction& action : actions) row.add(operation_of(action));

  const char* const path = std::getenv("PATH");
  auto* const request = new (memory.take<libc::ExecRequest>()) libc::ExecRequest{
      .search = call.search ? PathSearch(call.file, path != nullptr ? path : kDefaultPath)
                            : PathSearch(call.file),
      .argv = call.argv,
      .env = call.env,
      .script = nullptr};
  if (call.scripts) {
    request->script = script_arguments(memory, call.argv, count_strings(call.argv));
  }
  Operation exec = libc_operation(libc::kExec);
  exec.data = request;
  row.add(exec);

  chain->count = row.count();
  chain->changes_identity = attributes.has(POSIX_SPAWN_RESETIDS);
  return *chain;
}

// The errno value of what failed; 0 if nothing did. A task that was killed before its exec has
// failed at nothing: its parent will learn that by waiting.
int failure(const Chain& chain) {
  for (std::uint32_t i = 0; i < chain.count; ++i) {
    if (chain.operations[i].result < 0) return -chain.operations[i].result;
  }
  return 0;
}

// ---- The caller --------------------------------------------------------------------------------

// While this lives nobody cancels the calling thread.
class NotCancelled {
 public:
  NotCancelled() { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  NotCancelled(const NotCancelled&) = delete;
  NotCancelled& operator=(const NotCancelled&) = delete;
  ~NotCancelled() { ::pthread_setcancelstate(before_, nullptr); }

 private:
  int before_ = 0;
};

std::uint64_t kernel_mask(const sigset_t& signals) {
  return op::signal_mask(signals).value;  // one place knows how the sets differ
}

}  // namespace

int run_posix_spawn(pid_t* pid, const PosixSpawn& call) {
  if (call.file == nullptr || call.argv == nullptr) return EFAULT;

  // What is asked for
  const auto attributes = read_attributes(call.attributes);
  const auto actions = file_actions(call.actions);
  if (!attributes || !actions) return kNotUnderstood;

  // A chain of it
  const Needs needs{.operations = 1 + Row::kMostAttributes + actions->size() + 1,
                    .script = call.scripts ? count_strings(call.argv) + 2 : 0};
  CallMemory memory(needs.bytes());
  if (!memory.valid()) return ENOMEM;
  Chain& chain = build_chain(memory, call, *attributes, *actions, needs);

  // A task that runs it. It is gone from this memory when start_task returns.
  const NotCancelled not_cancelled;
  const SignalsBlocked blocked;  // handlers that run afterwards find the pid written
  const bool own_mask = attributes->has(POSIX_SPAWN_SETSIGMASK);
  chain.signal_mask = own_mask ? kernel_mask(attributes->mask) : blocked.before();
  const Started task = start_task(chain, memory.stack(), Backend::vfork);
  if (task.pid < 0) return -task.pid;
  settle_task(chain);

  // And what has become of it
  const int error = failure(chain);
  if (error != 0) {
    raw_syscall(SYS_wait4, task.pid, 0, 0, 0);
    return error;
  }
  if (pid != nullptr) *pid = task.pid;
  return 0;
}

}  // namespace prewarm::cold

int prewarm_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                        const posix_spawnattr_t* attributes, char* const argv[],
                        char* const envp[]) {
  const int result = prewarm::cold::run_posix_spawn(
      pid, {.file = path, .actions = actions, .attributes = attributes, .argv = argv, .env = envp});
  if (result != prewarm::cold::kNotUnderstood) return result;
  return ::posix_spawn(pid, path, actions, attributes, argv, envp);
}

int prewarm_posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                         const posix_spawnattr_t* attributes, char* const argv[],
                         char* const envp[]) {
  const int result = prewarm::cold::run_posix_spawn(pid, {.file = file,
                                                          .actions = actions,
                                                          .attributes = attributes,
                                                          .argv = argv,
                                                          .env = envp,
                                                          .search = true});
  if (result != prewarm::cold::kNotUnderstood) return result;
  return ::posix_spawnp(pid, file, actions, attributes, argv, envp);
}
