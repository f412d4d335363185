// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <mutex>
#include <optional>

#include "cold/backend.h"
#include "cold/blocks.h"
#include "cold/futex.h"
#include "cold/io_uring.h"
#include "os/clock.h"
#include "os/result.h"
#include "prewarm/spawn.h"

namespace prewarm {
namespace {

constexpr std::int64_t kBoundNs = 2'000'000'000;

// A chain of one harmless operation, run to its end. Emulators and sandboxes that make clone work
// somehow often don't share the memory, or don't tell when the task has left it.
Result<void> try_task(Backend backend) {
  cold::Blocks blocks(backend == Backend::fork);
  CloneOptions options;
  options.pidfd = false;
  options.exit_signal = 0;  // the caller isn't to hear of it
  const Operation row[] = {op::clone(options).link(), op::chdir("/")};
  const auto planned = cold::plan_in_block(row, blocks);
  if (!planned) return os::failed_with(-planned.error(), "map a stack");
  cold::Chain* const chain = *planned;
  auto started = cold::start_task(*chain, *chain->block, backend);
  if (started.pid < 0) {
    blocks.give(chain->block);
    return os::failed_with(-started.pid, "clone");
  }
  const std::int64_t until = os::now_ns() + kBoundNs;
  std::int64_t patience = cold::kImpatient;
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(started.pid), &info, WEXITED | __WALL) != 0 &&
         errno == EINTR) {
  }
  // It is gone, so the kernel has told by now, if it ever does.
  std::uint32_t alive = chain->alive.load();
  while (!cold::has_left(alive) && os::now_ns() < until) {
    const cold::Expected word{&chain->alive, alive};
    cold::wait_any({&word, 1}, until, patience);
    alive = chain->alive.load();
  }
  const bool works = cold::has_left(alive) && chain->operations[1].result == 0;
  blocks.give(chain->block);
  if (works) return {};
  return os::failed_with(ENOTSUP, "start a task: this system doesn't say when it has left memory");
}

// Found out once.
class Answer {
 public:
  Result<void> get(Backend backend) {
    const std::lock_guard lock(mutex_);
    if (!known_) known_ = try_task(backend);
    return *known_;
  }

 private:
  std::mutex mutex_;
  std::optional<Result<void>> known_;
};

}  // namespace

const char* backend_name(Backend backend) {
  switch (backend) {
    case Backend::automatic:
      return "automatic";
    case Backend::shared_memory:
      return "shared_memory";
    case Backend::vfork:
      return "vfork";
    case Backend::fork:
      return "fork";
    case Backend::posix_spawn:
      return "posix_spawn";
    case Backend::io_uring:
      return "io_uring";
  }
  return "unknown";
}

Result<void> probe(Backend backend) {
  static Answer shared_memory;
  static Answer vfork;
  static Answer fork;
  switch (backend) {
    case Backend::automatic:
    case Backend::posix_spawn:
      return {};
    case Backend::shared_memory:
      return shared_memory.get(backend);
    case Backend::vfork:
      return vfork.get(backend);
    case Backend::fork:
      return fork.get(backend);
    case Backend::io_uring:
      return os::failed_with(ENOTSUP,
                             "io_uring on this kernel has no operations to clone and exec");
  }
  return os::failed_with(EINVAL, "probe an unknown backend");
}

}  // namespace prewarm
