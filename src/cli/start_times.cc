// SPDX-License-Identifier: MIT
#include "cli/start_times.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "park/pool.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

using launch::Reason;

constexpr int kRounds = 25;
constexpr int kWaitMs = 2000;

double now_us() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

struct Measured {
  const std::string& path;
  char name[16] = "program";
  char version[16] = "--version";
  char* argv[3] = {name, version, nullptr};
  int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int cwd = ::open("/", O_PATH | O_CLOEXEC);
};

double run_cold(Command& command) {
  const double start = now_us();
  static_cast<void>(command.run());
  return now_us() - start;
}

std::expected<double, Reason> run_warm(park::Pool& pool, unsigned program, Measured& m) {
  const launch::Descriptor descriptors[] = {{m.null, 0}, {m.null, 1}, {m.null, 2}};
  launch::LaunchRequest request;
  request.path = m.path.c_str();
  request.argv = m.argv;
  request.env = environ;
  request.descriptors = descriptors;
  request.cwd = m.cwd;
  const double start = now_us();
  const auto claim = pool.claim(program, park::SlotKind::direct, kWaitMs);
  if (!claim) return std::unexpected(claim.error());
  if (!pool.release(*claim, request)) return std::unexpected(Reason::system_refused);
  pool.refill(program);
  int status = 0;
  ::waitpid(claim->pid, &status, 0);
  const double end = now_us();
  pool.note_ended(claim->pid, status);
  // Let the next clone be made outside of what is measured.
  ::usleep(300);
  return end - start;
}

}  // namespace

std::expected<StartTimes, Reason> measure_start(const std::string& path, const std::string& agent) {
  park::PoolOptions options;
  options.agent_path = agent;
  options.descriptor_floor = 64;
  if (const char* more = std::getenv("PREWARM_PARK_DIRS")) options.more_directories = more;
  auto pool = park::Pool::create(std::move(options));
  if (!pool) return std::unexpected(Reason::agent_missing);
  const auto program = (*pool)->park(path.c_str(), environ, 2, park::Isolation::clone);
  if (!program) return std::unexpected(program.error());
  (*pool)->wait_parked(*program, kWaitMs);
  Measured m{path};
  Command command(path);
  command.argv0(m.name).arg(m.version).in(Stdio::null()).out(Stdio::null()).err(Stdio::null());
  std::vector<double> cold;
  std::vector<double> warm;
  for (int i = 0; i < kRounds; ++i) {
    cold.push_back(run_cold(command));
    const auto w = run_warm(**pool, *program, m);
    if (!w) {
      // One that can't be cloned is spent after its one launch.
      if (warm.empty()) return std::unexpected(w.error());
      break;
    }
    warm.push_back(*w);
  }
  return StartTimes{median(cold), median(warm)};
}

}  // namespace prewarm::cli
