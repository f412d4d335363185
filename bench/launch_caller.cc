// SPDX-License-Identifier: MIT
//
// The caller whose launches are timed, a process of its own so that its memory is known: nothing
// but this program and, on request, a given amount of touched pages.
//
//   prewarm-bench-caller AGENT TINY MIB
//
// maps and touches MIB, parks TINY, then obeys orders on standard input: "WAY COUNT" launches TINY
// COUNT times in that way and answers with COUNT lines of three times in ns, each from just before
// the call: to the first instruction of main, until the call returned (the caller was blocked),
// until waitpid returned. It ends at the end of its input. Anything that goes wrong is one line on
// stderr and status 1.
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <expected>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "os/clock.h"
#include "os/fd.h"
#include "os/result.h"
#include "park/pool.h"

namespace prewarm::bench {
namespace {

constexpr int kClockFd = 3;      // TINY writes its clock here
constexpr int kOwnFds = 100;     // this program's other descriptors are not below
constexpr unsigned kClones = 2;  // idle ones that the pool keeps
constexpr int kPatienceMs = 5000;

struct Times {
  long to_main_ns;
  long blocked_ns;
  long to_end_ns;
};

struct Caller {
  std::string tiny;
  std::array<char*, 2> argv{};
  os::Fd clock_in;  // reading end of the pipe at kClockFd
  os::Fd cwd;
  std::unique_ptr<park::Pool> pool;
  unsigned program = 0;
};

// ---- The ways to launch: each returns as soon as its caller may go on, with the pid or -1
// ----------

pid_t launch_vfork(Caller& caller) {
  const char* path = caller.tiny.c_str();
  char* const* argv = caller.argv.data();
  const pid_t pid = ::vfork();  // NOLINT(bugprone-unsafe-functions): it is what is measured
  if (pid == 0) {
    ::execve(path, argv, environ);
    ::_exit(127);
  }
  return pid;
}

pid_t launch_fork(Caller& caller) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execve(caller.tiny.c_str(), caller.argv.data(), environ);
    ::_exit(127);
  }
  return pid;
}

pid_t launch_posix_spawn(Caller& caller) {
  pid_t pid = -1;
  const int code =
      ::posix_spawn(&pid, caller.tiny.c_str(), nullptr, nullptr, caller.argv.data(), environ);
  errno = code;
  return code == 0 ? pid : -1;
}

pid_t launch_parked(Caller& caller) {
  static constexpr launch::Descriptor kDescriptors[] = {{0, 0}, {1, 1}, {2, 2}, {3, 3}};
  const auto claim = caller.pool->claim(caller.program, park::SlotKind::direct, kPatienceMs);
  if (!claim) return -1;
  launch::LaunchRequest request;
  request.path = caller.tiny.c_str();
  request.argv = caller.argv.data();
  request.env = environ;
  request.descriptors = kDescriptors;
  request.cwd = caller.cwd.get();
  if (!caller.pool->release(*claim, request)) return -1;
  return claim->pid;
}

// ---- Between launches, not timed
// -------------------------------------------------------------------

// Waits until the pool has so many idle clones that it orders no more.
bool await_idle(const Caller& caller) {
  const park::Program& program = caller.pool->table().programs[caller.program];
  const long deadline = os::now_ns() + kPatienceMs * os::kNsPerMs;
  while (os::now_ns() < deadline) {
    unsigned idle = 0;
    for (const park::Slot& slot : program.slots) {
      idle += park::state_of(slot.state) == park::SlotState::idle;
    }
    if (idle + (program.want.load() + 1) / 2 > program.want.load()) return true;
    const timespec pause{0, 50'000};
    ::nanosleep(&pause, nullptr);
  }
  return false;
}

struct Way {
  std::string_view name;
  pid_t (*launch)(Caller&);
  bool pause;  // until the pool is full again
};
constexpr Way kWays[] = {
    {"vfork", launch_vfork, false},
    {"posix_spawn", launch_posix_spawn, false},
    {"fork", launch_fork, false},
    {"parked", launch_parked, true},
    {"parked-back-to-back", launch_parked, false},
};

os::Result<Times> time_launch(Caller& caller, const Way& way) {
  if (way.pause && !await_idle(caller)) return os::failed_with(0, "wait for an idle clone");
  const long start = os::now_ns();
  const pid_t pid = way.launch(caller);
  const long returned = os::now_ns();
  if (pid < 0) return os::failed("launch by", std::string(way.name));
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return os::failed("wait for", caller.tiny);
  const long ended = os::now_ns();

  caller.pool->note_ended(pid, status);
  // Not in the way of what it started.
  caller.pool->refill(caller.program);
  if (status != 0) return os::failed_with(0, "run", caller.tiny + ": not status 0");
  timespec at{};
  if (::read(caller.clock_in.get(), &at, sizeof at) != ssize_t{sizeof at}) {
    return os::failed("read the clock of", caller.tiny);
  }
  return Times{os::ns_of(at) - start, returned - start, ended - start};
}

// ---- Getting ready
// ---------------------------------------------------------------------------------

// Small pages, whatever the system prefers: their number is what makes a fork slow.
os::Result<void> touch(std::size_t mib) {
  if (mib == 0) return {};
  const std::size_t size = mib << 20;
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return os::failed("map memory");
  ::madvise(at, size, MADV_NOHUGEPAGE);
  for (std::size_t i = 0; i < size; i += 4096) static_cast<volatile char*>(at)[i] = 1;
  return {};
}

os::Result<void> open_descriptors(Caller& caller) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return os::failed("make a pipe");
  caller.clock_in = os::move_above(os::Fd(ends[0]), kOwnFds);
  // Only dup2 to another number makes it one that children inherit.
  const os::Fd out = os::move_above(os::Fd(ends[1]), kOwnFds);
  if (::dup2(out.get(), kClockFd) < 0) return os::failed("set up the pipe");
  caller.cwd = os::move_above(os::Fd(::open(".", O_PATH | O_CLOEXEC)), kOwnFds);
  if (!caller.cwd.valid()) return os::failed("open", ".");
  return {};
}

os::Result<void> park_tiny(Caller& caller, const char* agent) {
  park::PoolOptions options;
  options.agent_path = agent;
  options.more_directories = caller.tiny.substr(0, caller.tiny.rfind('/'));
  options.descriptor_floor = kOwnFds;
  auto pool = park::Pool::create(std::move(options));
  if (!pool) return std::unexpected(pool.error());
  caller.pool = std::move(*pool);
  const auto program =
      caller.pool->park(caller.tiny.c_str(), environ, kClones, park::Isolation::clone);
  const auto refused = [&](launch::Reason why) {
    return os::failed_with(0, "park", caller.tiny + ": " + launch::reason_text(why));
  };
  if (!program) return refused(program.error());
  caller.program = *program;
  if (!caller.pool->wait_parked(*program, kPatienceMs)) {
    return os::failed_with(0, "park", caller.tiny + ": not parked in time");
  }
  const auto claim = caller.pool->claim(*program, park::SlotKind::direct, kPatienceMs);
  if (!claim) return refused(claim.error());
  caller.pool->give_back(*claim);
  return {};
}

os::Result<void> obey(Caller& caller, const std::string& name, unsigned count) {
  for (const Way& way : kWays) {
    if (way.name != name) continue;
    for (unsigned i = 0; i < count; ++i) {
      const auto times = time_launch(caller, way);
      if (!times) return std::unexpected(times.error());
      std::cout << times->to_main_ns << ' ' << times->blocked_ns << ' ' << times->to_end_ns << '\n';
    }
    std::cout.flush();
    return {};
  }
  return os::failed_with(EINVAL, "launch by", name);
}

int fail(const os::Error& error) {
  std::cerr << "prewarm-bench-caller: " << error.message() << '\n';
  return 1;
}

int serve(const char* agent, const char* tiny, std::size_t mib) {
  if (auto done = touch(mib); !done) return fail(done.error());
  Caller caller;
  caller.tiny = tiny;
  caller.argv[0] = caller.tiny.data();
  if (auto done = open_descriptors(caller); !done) return fail(done.error());
  if (auto done = park_tiny(caller, agent); !done) return fail(done.error());

  std::string way;
  unsigned count = 0;
  while (std::cin >> way >> count) {
    if (auto done = obey(caller, way, count); !done) return fail(done.error());
  }
  return 0;
}

}  // namespace
}  // namespace prewarm::bench

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: prewarm-bench-caller AGENT TINY MIB\n";
    return 2;
  }
  return prewarm::bench::serve(argv[1], argv[2], std::strtoul(argv[3], nullptr, 10));
}
