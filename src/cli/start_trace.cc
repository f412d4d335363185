// SPDX-License-Identifier: MIT
#include "cli/start_trace.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <vector>

#include "image/tracee.h"
#include "os/argv.h"
#include "os/clock.h"
#include "os/fd.h"

namespace prewarm::cli {
namespace {

using image::Tracee;
using os::Result;

constexpr int kExecStop = SIGTRAP | (PTRACE_EVENT_EXEC << 8);
constexpr int kCallStop = SIGTRAP | 0x80;

double us_since(std::int64_t start_ns) {
  return static_cast<double>(os::now_ns() - start_ns) / 1e3;
}

int stop_of(int status) { return status >> 8; }

struct Child {
  std::vector<std::string> words;
  std::string path;
  int errors = -1;                 // its standard error; -1: nowhere
  const char* variable = nullptr;  // added to its environment
};

// What runs in the child: it stops before its exec.
[[noreturn]] void become(const Child& child, int nothing) {
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  ::dup2(child.errors >= 0 ? child.errors : nothing, STDERR_FILENO);
  const auto argv = os::pointers(child.words);
  if (child.variable != nullptr) ::putenv(const_cast<char*>(child.variable));
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) {
    ::raise(SIGSTOP);
    ::execv(child.path.c_str(), argv.data());
  }
  ::_exit(127);
}

// A traced start.
class Start {
 public:
  // The child stands before its exec.
  static Result<Start> begin(const Child& child) {
    const os::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!nothing.valid()) return os::failed("open", "/dev/null");
    const pid_t pid = ::fork();
    if (pid < 0) return os::failed("start", child.path);
    if (pid == 0) become(child, nothing.get());
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFSTOPPED(status)) return os::failed_with(EPERM, "trace", child.path);
    Start start(pid);
    if (auto set = start.tracee_->set_options(PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC |
                                              PTRACE_O_TRACESYSGOOD);
        !set) {
      return std::unexpected(set.error());
    }
    return start;
  }

  Tracee& tracee() { return *tracee_; }

  // By the first debug register: "Local breakpoint 0, on execution".
  Result<void> stop_at(std::uint64_t address) {
    constexpr std::size_t kAddress = offsetof(user, u_debugreg[0]);
    constexpr std::size_t kControl = offsetof(user, u_debugreg[7]);
    if (::ptrace(PTRACE_POKEUSER, tracee_->pid(), kAddress, address) != 0 ||
        ::ptrace(PTRACE_POKEUSER, tracee_->pid(), kControl, 1UL) != 0) {
      return os::failed("set a debug register");
    }
    return {};
  }

  // Goes on to the end of the next exec; the time it took.
  Result<double> to_exec() {
    return go(0, [](int stop, std::uint64_t) { return stop == kExecStop; });
  }

  // Goes on to this address; an exec on the way is an error.
  Result<double> to(std::uint64_t address) {
    if (auto set = stop_at(address); !set) return std::unexpected(set.error());
    return go(address,
              [&](int stop, std::uint64_t at) { return stop == SIGTRAP && at == address; });
  }

  // What the kernel has told the program.
  std::uint64_t auxiliary(std::uint64_t type) const {
    const std::string path = "/proc/" + std::to_string(tracee_->pid()) + "/auxv";
    const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    Elf64_auxv_t entry{};
    while (::read(file.get(), &entry, sizeof entry) == sizeof entry && entry.a_type != AT_NULL) {
      if (entry.a_type == type) return entry.a_un.a_val;
    }
    return 0;
  }

  // How long it takes to go on and to stop again.
  Result<double> stop_cost() {
    constexpr int kSteps = 5;
    double least = 1e9;
    for (int i = 0; i < kSteps; ++i) {
      const std::int64_t begun = os::now_ns();
      if (auto stepped = tracee_->step(); !stepped) return std::unexpected(stepped.error());
      least = std::min(least, us_since(begun));
    }
    return least;
  }

 private:
  explicit Start(pid_t pid) : tracee_(std::make_unique<Tracee>(pid)) {}

  template <class Wanted>
  Result<double> go(std::uint64_t address, Wanted wanted) {
    int signal = 0;
    double took = 0;
    for (;;) {
      const std::int64_t begun = os::now_ns();
      const auto status = tracee_->continue_freely(signal);
      took += us_since(begun);
      if (!status) return std::unexpected(status.error());
      const auto registers = tracee_->registers();
      if (!registers) return std::unexpected(registers.error());
      const int stop = stop_of(*status);
      if (wanted(stop, registers->rip)) return took;
      if (stop == kExecStop && address != 0) {
        return os::failed_with(0, "trace", "(the program was executed again: no image was used)");
      }
      const bool is_own = stop == SIGTRAP || stop == kExecStop || stop == kCallStop ||
                          (stop == SIGSTOP && address == 0);
      signal = is_own ? 0 : stop;
    }
  }

  std::unique_ptr<Tracee> tracee_;
};

// From where all is linked on, with what stops cost taken off everything.
Result<StartTrace> finish(Start& start, StartTrace trace, std::uint64_t entry,
                          const StartPlaces& places, int stops) {
  const auto constructors = start.to(entry);
  if (!constructors) return std::unexpected(constructors.error());
  trace.constructors = *constructors;
  if (places.main) {
    const auto rest = start.to(entry + static_cast<std::uint64_t>(*places.main));
    if (!rest) return std::unexpected(rest.error());
    trace.rest = *rest;
  }
  const auto cost = start.stop_cost();
  if (!cost) return std::unexpected(cost.error());
  trace.exec = std::max(trace.exec - *cost, 0.0);
  if (stops > 1) trace.asking = std::max(trace.asking - *cost, 0.0);
  trace.linking = std::max(trace.linking - *cost, 0.0);
  trace.constructors = std::max(trace.constructors - *cost, 0.0);
  if (places.main) trace.rest = std::max(trace.rest - *cost, 0.0);
  return trace;
}

bool is_mapping(std::uint64_t call) {
  return call == SYS_mmap || call == SYS_munmap || call == SYS_mprotect;
}

// Time in system calls until all is linked: for mapping, and all others.
Result<std::pair<double, double>> time_calls(const std::string& program,
                                             const StartPlaces& places) {
  auto start = Start::begin({{program}, program, -1, nullptr});
  if (!start) return std::unexpected(start.error());
  if (auto done = start->to_exec(); !done) return std::unexpected(done.error());
  // What isn't a call's own time is the same in all of them: that of the shortest.
  std::vector<std::pair<bool, double>> calls;
  const std::uint64_t end = start->auxiliary(AT_BASE) + places.linked_in_loader;
  if (auto set = start->stop_at(end); !set) return std::unexpected(set.error());
  bool inside = false;
  for (;;) {
    const std::int64_t begun = os::now_ns();
    const auto status = start->tracee().continue_to_call();
    const double took = us_since(begun);
    if (!status) return std::unexpected(status.error());
    const auto registers = start->tracee().registers();
    if (!registers) return std::unexpected(registers.error());
    if (registers->rip == end) break;
    if (stop_of(*status) != kCallStop) continue;
    if (inside) calls.emplace_back(is_mapping(registers->orig_rax), took);
    inside = !inside;
  }
  double least = 1e9;
  for (const auto& [maps, took] : calls) least = std::min(least, took);
  std::pair<double, double> sums{0, 0};
  for (const auto& [maps, took] : calls) (maps ? sums.first : sums.second) += took - least;
  return sums;
}

// The number in front of " cycles" in the line that contains `what`.
double cycles(const std::string& text, const char* what) {
  const auto at = text.find(what);
  if (at == std::string::npos) return 0;
  return std::strtod(text.c_str() + text.find(':', at) + 1, nullptr);
}

Result<std::string> loader_statistics(const std::string& program, const StartPlaces& places) {
  const os::Fd output(::memfd_create("prewarm-statistics", MFD_CLOEXEC));
  auto start = Start::begin({{program}, program, output.get(), "LD_DEBUG=statistics"});
  if (!start) return std::unexpected(start.error());
  if (auto done = start->to_exec(); !done) return std::unexpected(done.error());
  const std::uint64_t linked = start->auxiliary(AT_BASE) + places.linked_in_loader;
  if (auto done = start->to(linked); !done) return std::unexpected(done.error());
  std::string text(65536, '\0');
  const ssize_t n = ::pread(output.get(), text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return text;
}

}  // namespace

Result<std::optional<std::int64_t>> find_main(const std::string& program) {
  auto start = Start::begin({{program}, program, -1, nullptr});
  if (!start) return std::unexpected(start.error());
  if (auto done = start->to_exec(); !done) return std::unexpected(done.error());
  const std::uint64_t entry = start->auxiliary(AT_ENTRY);
  if (auto done = start->to(entry); !done) return std::unexpected(done.error());
  // The start of glibc's programs calls __libc_start_main(main, ...).
  constexpr int kMostSteps = 40;
  constexpr std::uint64_t kStartBytes = 128;
  for (int i = 0; i < kMostSteps; ++i) {
    if (auto done = start->tracee().step(); !done) return std::unexpected(done.error());
    const auto registers = start->tracee().registers();
    if (!registers) return std::unexpected(registers.error());
    if (registers->rip - entry < kStartBytes) continue;
    const auto distance = static_cast<std::int64_t>(registers->rdi - entry);
    constexpr std::int64_t kMost = 1LL << 31;
    if (distance == 0 || distance <= -kMost || distance >= kMost) break;
    return std::optional(distance);
  }
  return std::nullopt;
}

Result<StartTrace> trace_stock(const std::string& program, const StartPlaces& places) {
  auto start = Start::begin({{program}, program, -1, nullptr});
  if (!start) return std::unexpected(start.error());
  StartTrace trace;
  const auto exec = start->to_exec();
  if (!exec) return std::unexpected(exec.error());
  trace.exec = *exec;
  const auto linking = start->to(start->auxiliary(AT_BASE) + places.linked_in_loader);
  if (!linking) return std::unexpected(linking.error());
  trace.linking = *linking;
  return finish(*start, trace, start->auxiliary(AT_ENTRY), places, 1);
}

Result<StartTrace> trace_imaged(const std::string& prewarm, const std::string& program,
                                const StartPlaces& places) {
  auto start = Start::begin({{"prewarm", "exec", "--always", program}, prewarm, -1, nullptr});
  if (!start) return std::unexpected(start.error());
  StartTrace trace;
  const auto exec = start->to_exec();
  if (!exec) return std::unexpected(exec.error());
  trace.exec = *exec;
  const auto asking = start->to_exec();
  if (!asking) return std::unexpected(asking.error());
  trace.asking = *asking;
  const auto linking = start->to(places.image_linked);
  if (!linking) return std::unexpected(linking.error());
  trace.linking = *linking;
  return finish(*start, trace, places.image_entry, places, 2);
}

Result<LoaderShares> loader_shares(const std::string& program, const StartPlaces& places) {
  const auto text = loader_statistics(program, places);
  if (!text) return std::unexpected(text.error());
  const double total = cycles(*text, "total startup time in dynamic loader");
  if (total <= 0) return os::failed_with(EPROTO, "read ld.so's statistics");
  const auto calls = time_calls(program, places);
  if (!calls) return std::unexpected(calls.error());
  const double load = std::min(cycles(*text, "time needed to load objects") / total, 1.0);
  const double all_calls = calls->first + calls->second;
  LoaderShares shares;
  shares.relocation = std::min(cycles(*text, "time needed for relocation") / total, 1.0 - load);
  shares.mapping = all_calls > 0 ? load * calls->first / all_calls : 0;
  shares.search = load - shares.mapping;
  return shares;
}

}  // namespace prewarm::cli
