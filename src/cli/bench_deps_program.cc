// SPDX-License-Identifier: MIT
#include "cli/bench_deps_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "image/format.h"
#include "os/clock.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

constexpr int kClockFd = 3;  // as deps_program() has them
constexpr int kHoldFd = 4;
constexpr int kPatienceMs = 1'800'000;  // a loader may need time that grows with the square

struct Pipe {
  os::Fd read;
  os::Fd write;
};

os::Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return os::failed("make a pipe");
  return Pipe{os::Fd(ends[0]), os::Fd(ends[1])};
}

// What changes how programs are linked must not come from whoever measures.
void clean_environment(Command& command) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable = *entry;
    if (!variable.starts_with("LD_") && !variable.starts_with("GLIBC_TUNABLES=")) continue;
    command.unset_env(std::string(variable.substr(0, variable.find('='))));
  }
}

// The number behind "KEY:".
double field(std::ifstream& file, std::string_view key) {
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size(), nullptr);
  }
  return 0;
}

}  // namespace

os::Result<DepsProgram> DepsProgram::start(const DepsStart& how, bool speaks) {
  auto clock = make_pipe();
  if (!clock) return std::unexpected(clock.error());
  auto hold = make_pipe();
  if (!hold) return std::unexpected(hold.error());
  Command command(how.words.front());
  for (std::size_t i = 1; i < how.words.size(); ++i) command.arg(how.words[i]);
  clean_environment(command);
  for (const auto& [name, value] : how.environment) command.env(name, value);
  command.in(Stdio::null()).kill_on_drop();
  command.inherit(clock->write.get(), kClockFd).inherit(hold->read.get(), kHoldFd);
  if (speaks) {
    command.out(Stdio::pipe()).err(Stdio::pipe());
  } else {
    command.arg("silent").out(Stdio::null()).err(Stdio::null());
  }
  const std::int64_t began_ns = os::now_ns();
  auto process = command.spawn();
  if (!process) return std::unexpected(process.error());
  return DepsProgram(std::move(*process), std::move(clock->read), std::move(hold->write), began_ns);
}

os::Result<double> DepsProgram::await_main() {
  pollfd ready{clock_.get(), POLLIN, 0};
  int polled = 0;
  do polled = ::poll(&ready, 1, kPatienceMs);
  while (polled < 0 && errno == EINTR);
  if (polled == 0) {
    return os::failed_with(ETIMEDOUT, "wait for the program to begin");
  }
  timespec now{};
  if (::read(clock_.get(), &now, sizeof now) == ssize_t{sizeof now}) {
    return static_cast<double>(os::ns_of(now) - began_ns_) / 1e3;
  }
  hold_.reset();
  const auto ended = process_.capture();
  if (!ended) return std::unexpected(ended.error());
  return os::failed_with(0, "start the program:",
                         fmt::format("it {} before main {}", ended->status.message(),
                                     ended->err.substr(0, ended->err.find('\n'))));
}

double DepsProgram::processor_us() const {
  std::ifstream file(fmt::format("/proc/{}/schedstat", process_.pid()));
  double ns = 0;
  file >> ns;
  return file ? ns / 1e3 : 0;
}

os::Result<DepsMemory> DepsProgram::memory() const {
  const std::string directory = fmt::format("/proc/{}/", process_.pid());
  std::ifstream maps(directory + "maps");
  std::ifstream rollup(directory + "smaps_rollup");
  std::ifstream status(directory + "status");
  if (!maps || !rollup || !status) return os::failed("look at the memory of", "the program");
  DepsMemory memory;
  for (std::string line; std::getline(maps, line);) {
    ++memory.mappings;
    const std::uint64_t address = std::strtoull(line.c_str(), nullptr, 16);
    memory.from_image |= address >= image::kArenaLowest && address < image::kArenaHighest;
  }
  memory.rss = field(rollup, "Rss:");
  memory.pss = field(rollup, "Pss:");
  memory.private_part = field(rollup, "Private_Clean:");
  memory.private_part += field(rollup, "Private_Dirty:");
  memory.page_tables = field(status, "VmPTE:");
  return memory;
}

os::Result<std::string> DepsProgram::finish() {
  hold_.reset();
  auto ended = process_.capture();
  if (!ended) return std::unexpected(ended.error());
  if (ended->success()) return std::move(ended->out);
  return os::failed_with(0, "run the program:",
                         fmt::format("it {} {}", ended->status.message(),
                                     ended->err.substr(0, ended->err.find('\n'))));
}

}  // namespace prewarm::cli
