// SPDX-License-Identifier: MIT
#include "cli/start_times.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "os/clock.h"
#include "park/pool.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

using launch::Reason;

constexpr int kRounds = 25;
constexpr int kWaitMs = 2000;

double us_since(std::int64_t start_ns) {
  return static_cast<double>(os::now_ns() - start_ns) / 1e3;
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
  const std::int64_t start = os::now_ns();
  static_cast<void>(command.run());
  return us_since(start);
}

std::expected<double, Reason> run_warm(park::Pool& pool, unsigned program, Measured& m) {
  const launch::Descriptor descriptors[] = {{m.null, 0}, {m.null, 1}, {m.null, 2}};
  launch::LaunchRequest request;
  request.path = m.path.c_str();
  request.argv = m.argv;
  request.env = environ;
  request.descriptors = descriptors;
  request.cwd = m.cwd;
  const std::int64_t start = os::now_ns();
  const auto claim = pool.claim(program, park::SlotKind::direct, kWaitMs);
  if (!claim) return std::unexpected(claim.error());
  if (!pool.release(*claim, request)) return std::unexpected(Reason::system_refused);
  pool.refill(program);
  int status = 0;
  ::waitpid(claim->pid, &status, 0);
  const double took_us = us_since(start);
  pool.note_ended(claim->pid, status);
  // Let the next clone be made outside of what is measured.
  ::usleep(300);
  return took_us;
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
