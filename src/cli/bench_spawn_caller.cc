// SPDX-License-Identifier: MIT
#include "cli/bench_spawn_caller.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cli/bench_spawn_ways.h"
#include "os/clock.h"
#include "os/fd.h"

namespace prewarm::cli {
namespace {

constexpr int kClockFd = 3;  // where the program writes its clock
constexpr int kPatienceMs = 10'000;
constexpr int kLookMs = 200;

struct Times {
  long to_child_ns;
  long blocked_ns;
  long to_end_ns;
};

struct Caller {
  os::Fd clocks;  // reading end of the pipe at kClockFd; doesn't block
  SpawnParking parking;
};

// ---- Children ----------------------------------------------------------------------------------

// Waits for one child that was started, or with WNOHANG looks for one; false: there is none now.
os::Result<bool> take_child(Caller& caller, SpawnWay& way, const std::string& program, int flags) {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, flags);
    if (pid == 0) return false;
    if (pid < 0 && errno == ECHILD) return false;
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return os::failed("wait for", program);
    if (!caller.parking.was_started(pid, status)) continue;
    way.ended(pid);
    if (status != 0) return os::failed_with(0, "run", program + ": it didn't end with status 0");
    return true;
  }
}

// The clock that one program writes. The caller sleeps until then, and nothing else wakes it; only
// if it takes long is it asked what has failed, by which `taken` may become true: its end has been
// waited for, too.
os::Result<long> read_clock(Caller& caller, SpawnWay& way, const std::string& program,
                            bool& taken) {
  for (int waited_ms = 0; waited_ms < kPatienceMs; waited_ms += kLookMs) {
    pollfd ready{caller.clocks.get(), POLLIN, 0};
    if (::poll(&ready, 1, kLookMs) == 1) break;
    if (auto settled = way.settle(); !settled) return std::unexpected(settled.error());
    if (taken) continue;
    const auto ended = take_child(caller, way, program, WNOHANG);
    if (!ended) return std::unexpected(ended.error());
    taken = *ended;
  }
  timespec clock{};
  if (::read(caller.clocks.get(), &clock, sizeof clock) != ssize_t{sizeof clock}) {
    return os::failed_with(0, "read the clock of", program);
  }
  return os::ns_of(clock);
}

// One start by itself: the next begins when this child is gone.
os::Result<Times> time_one(Caller& caller, SpawnWay& way, const std::string& program) {
  if (auto ready = way.prepare(); !ready) return std::unexpected(ready.error());
  const long start = os::now_ns();
  if (auto started = way.start(1); !started) return std::unexpected(started.error());
  const long returned = os::now_ns();
  bool taken = false;
  const auto clock = read_clock(caller, way, program, taken);
  if (!clock) return std::unexpected(clock.error());
  if (!taken) {
    const auto last = take_child(caller, way, program, 0);
    if (!last) return std::unexpected(last.error());
    if (!*last) return os::failed_with(ECHILD, "wait for", program);
  }
  const long ended = os::now_ns();
  if (auto settled = way.settle(); !settled) return std::unexpected(settled.error());
  return Times{*clock - start, returned - start, ended - start};
}

// Nobody reads these clocks, but the pipe must not fill up.
void drop_clocks(const Caller& caller) {
  char bytes[4096];
  while (::read(caller.clocks.get(), bytes, sizeof bytes) > 0) {
  }
}

// Waits until at least one of those that were started has ended; how many have.
os::Result<unsigned> take_children(Caller& caller, SpawnWay& way, const std::string& program) {
  auto taken = take_child(caller, way, program, 0);
  while (taken && !*taken) {
    if (auto one = way.await_process(); !one) return std::unexpected(one.error());
    taken = take_child(caller, way, program, 0);
  }
  unsigned count = 0;
  for (; taken && *taken; ++count) taken = take_child(caller, way, program, WNOHANG);
  if (!taken) return std::unexpected(taken.error());
  return count;
}

os::Result<long> time_many(Caller& caller, SpawnWay& way, const std::string& program,
                           unsigned outstanding, unsigned count) {
  const long start = os::now_ns();
  unsigned started = 0;
  for (unsigned ended = 0; ended < count;) {
    const unsigned more = std::min(outstanding - (started - ended), count - started);
    if (more > 0) {
      if (auto done = way.start(more); !done) return std::unexpected(done.error());
    }
    started += more;
    const auto taken = take_children(caller, way, program);
    if (!taken) return std::unexpected(taken.error());
    ended += *taken;
    drop_clocks(caller);
  }
  const long end = os::now_ns();
  if (auto settled = way.settle(); !settled) return std::unexpected(settled.error());
  return end - start;
}

// ---- Orders ------------------------------------------------------------------------------------

os::Result<std::unique_ptr<SpawnWay>> make_way(Caller& caller, const std::string& name,
                                               const std::string& program) {
  const SpawnWayKind* kind = find_spawn_way(name);
  if (kind == nullptr) return os::failed_with(EINVAL, "start by", name);
  const char* variable = std::getenv("PATH");
  const std::string path = variable == nullptr ? "" : variable;
  return kind->make({program, path.substr(path.rfind(':') + 1)}, caller.parking);
}

// The answer to one order. What is made for it goes with it, and its first start isn't counted: it
// finds nothing as the others leave it.
os::Result<std::string> obey(Caller& caller, const std::string& line) {
  std::istringstream words(line);
  std::string verb;
  std::string way_name;
  std::string program;
  unsigned outstanding = 1;
  unsigned count = 0;
  words >> verb >> way_name >> program;
  if (verb == "rate") words >> outstanding;
  if (verb != "check") words >> count;
  if (!words || outstanding == 0 || (verb != "check" && count == 0)) {
    return os::failed_with(EINVAL, "obey", line);
  }

  auto way = make_way(caller, way_name, program);
  if (verb == "check" && !way) return "no " + way.error().message() + "\n";
  if (!way) return std::unexpected(way.error());
  const auto first = time_one(caller, **way, program);
  if (verb == "check" && !first && first.error().code == EOPNOTSUPP) {
    return "no " + first.error().message() + "\n";
  }
  if (!first) return std::unexpected(first.error());
  if (verb == "check") return "ok\n";
  std::string answer = "ok\n";
  if (verb == "rate") {
    const auto ns = time_many(caller, **way, program, outstanding, count);
    if (!ns) return std::unexpected(ns.error());
    return answer + fmt::format("{}\n", *ns);
  }
  for (unsigned i = 0; i < count; ++i) {
    const auto times = time_one(caller, **way, program);
    if (!times) return std::unexpected(times.error());
    answer += fmt::format("{} {} {}\n", times->to_child_ns, times->blocked_ns, times->to_end_ns);
  }
  return answer;
}

// ---- Getting ready -----------------------------------------------------------------------------

// Small pages, whatever the system prefers: their number is what makes a fork slow.
os::Result<void> have_memory(std::size_t mib, bool touched) {
  if (mib == 0) return {};
  const std::size_t size = mib << 20;
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return os::failed("map memory");
  ::madvise(at, size, MADV_NOHUGEPAGE);
  if (!touched) return {};
  for (std::size_t i = 0; i < size; i += 4096) static_cast<volatile char*>(at)[i] = 1;
  return {};
}

void have_threads(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    std::thread([] {
      for (;;) ::pause();
    }).detach();
  }
}

os::Result<void> open_clocks(Caller& caller) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os::failed("make a pipe");
  caller.clocks = os::move_above(os::Fd(ends[0]), kSpawnDescriptorFloor);
  // Only dup2 to another number makes it one that children inherit.
  const os::Fd out = os::move_above(os::Fd(ends[1]), kSpawnDescriptorFloor);
  if (::fcntl(caller.clocks.get(), F_SETFL, O_NONBLOCK) != 0 || ::dup2(out.get(), kClockFd) < 0) {
    return os::failed("set up the pipe");
  }
  return {};
}

os::Result<void> get_ready(Caller& caller, const SpawnCallerOptions& options) {
  if (auto done = have_memory(options.mib, options.touched); !done) return done;
  have_threads(options.threads);
  return open_clocks(caller);
}

os::Result<void> serve(const SpawnCallerOptions& options) {
  Caller caller;
  if (auto ready = get_ready(caller, options); !ready) return ready;
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = obey(caller, line);
    if (!answer) return std::unexpected(answer.error());
    std::cout << *answer << std::flush;
  }
  return {};
}

}  // namespace

int bench_spawn_caller(const SpawnCallerOptions& options) {
  const auto served = serve(options);
  if (served) return EXIT_SUCCESS;
  // What is under way ends by itself.
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  std::cout << "failed " << served.error().message() << '\n' << std::flush;
  return EXIT_FAILURE;
}

}  // namespace prewarm::cli
