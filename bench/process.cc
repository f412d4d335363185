// SPDX-License-Identifier: MIT
#include "bench/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "os/argv.h"
#include "os/process.h"

namespace prewarm::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kOrphansLimit{10'000};
constexpr milliseconds kPoliteLimit{3000};

// Confines this thread to one processor while it lives; children started meanwhile stay confined.
class Confined {
 public:
  explicit Confined(int processor) {
    if (processor < 0) return;
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(static_cast<unsigned>(processor), &only);
    active_ = true;
    failed_ = ::sched_setaffinity(0, sizeof only, &only) != 0;
  }
  Confined(const Confined&) = delete;
  Confined& operator=(const Confined&) = delete;
  ~Confined() {
    if (active_) ::sched_setaffinity(0, sizeof before_, &before_);
  }
  bool failed() const { return failed_; }

 private:
  cpu_set_t before_{};
  bool active_ = false;
  bool failed_ = false;
};

// What posix_spawnp is to do in the child. Filling it in can fail only for want of memory, which
// is left to be found by the spawn itself.
struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnPlan(const Standard& standard, const sigset_t& mask) {
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, standard.input, 0);
    posix_spawn_file_actions_adddup2(&actions, standard.output, 1);
    posix_spawn_file_actions_adddup2(&actions, standard.error, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

// Every child there is, by force. Orphans of a command are among them.
void kill_children() {
  const pid_t self = ::getpid();
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", self));
  pid_t child = 0;
  while (children >> child) ::kill(child, SIGKILL);
}

milliseconds time_left(steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
  return std::max(left, milliseconds(0));
}

// Ends a process group, politely at first: its leader may have something to tidy up.
void end_group(pid_t leader, const os::Fd& leader_ended) {
  ::kill(-leader, SIGTERM);
  pollfd watched{leader_ended.get(), POLLIN, 0};
  ::poll(&watched, 1, static_cast<int>(kPoliteLimit.count()));
  ::kill(-leader, SIGKILL);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

os::Result<Processes> Processes::take_over() {
  sigset_t stopping;
  sigemptyset(&stopping);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&stopping, signal);
  Processes processes;
  if (::sigprocmask(SIG_BLOCK, &stopping, &processes.original_mask_) != 0) {
    return os::failed("block signals");
  }
  processes.signals_ = os::Fd(::signalfd(-1, &stopping, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!processes.signals_.valid()) return os::failed("make a signalfd");
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return os::failed("adopt orphans");
  return processes;
}

os::Result<pid_t> Processes::spawn(const Command& command, const Standard& standard) {
  const Confined confined(command.processor);
  if (confined.failed()) {
    return os::failed("confine to processor", std::to_string(command.processor));
  }
  const SpawnPlan plan(standard, original_mask_);
  const std::vector<char*> argv = os::pointers(command.argv);
  const std::vector<char*> env = os::pointers(command.env);
  pid_t pid = 0;
  const int code =
      ::posix_spawnp(&pid, argv[0], &plan.actions, &plan.attributes, argv.data(), env.data());
  if (code != 0) return os::failed_with(code, "start", command.argv[0]);
  return pid;
}

os::Result<bool> Processes::wait_readable(int fd, milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  for (;;) {
    pollfd watched[2] = {{fd, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    const int ready = ::poll(watched, 2, static_cast<int>(time_left(deadline).count()));
    if (ready < 0 && errno != EINTR) return os::failed("wait");
    if (watched[1].revents != 0) {
      signalfd_siginfo info{};
      if (::read(signals_.get(), &info, sizeof info) == ssize_t{sizeof info}) {
        stop_signal_ = static_cast<int>(info.ssi_signo);
      }
    }
    if (stop_signal_ != 0) return os::failed_with(EINTR, "wait");
    if (ready > 0 && watched[0].revents != 0) return true;
    if (ready == 0) return false;
  }
}

// The wait status of `pid`, which is gone afterwards in any case.
os::Result<int> Processes::await_end(pid_t pid, const Command& command) {
  const os::Fd ended = os::watch(pid);
  os::Result<bool> in_time = os::failed("watch", command.argv[0]);
  if (ended.valid()) in_time = wait_readable(ended.get(), command.limit);
  const bool wait_failed = !in_time.has_value();
  if (wait_failed || !*in_time) end_group(pid, ended);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (wait_failed) return std::unexpected(in_time.error());
  if (!*in_time) {
    return os::failed_with(
        0, "run", fmt::format("{}: not ended after {} s", command.argv[0], command.limit.count()));
  }
  return status;
}

// Any child is an orphan here: `run` is not used while there are others. Short sleeps, not events,
// because nothing is measured meanwhile.
os::Result<void> Processes::await_orphans(const std::string& command) {
  const auto deadline = steady_clock::now() + kOrphansLimit;
  bool killed = false;
  for (;;) {
    const pid_t ended = ::waitpid(-1, nullptr, WNOHANG);
    if (ended > 0) continue;
    if (ended < 0 && errno == ECHILD) break;
    if (!killed && (stop_signal_ != 0 || time_left(deadline).count() == 0)) {
      kill_children();
      killed = true;
    }
    ::poll(nullptr, 0, 1);
  }
  if (killed && stop_signal_ == 0) {
    return os::failed_with(0, "run", command + ": it left processes behind");
  }
  return {};
}

os::Result<Outcome> Processes::run(const Command& command) {
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return os::failed("open", "/dev/null");
  auto output = make_output();
  if (!output) return std::unexpected(output.error());
  auto error = make_output();
  if (!error) return std::unexpected(error.error());

  const auto start = steady_clock::now();
  const auto pid = spawn(command, {null.get(), output->get(), error->get()});
  if (!pid) return std::unexpected(pid.error());
  const auto status = await_end(*pid, command);
  const std::chrono::duration<double, std::micro> elapsed = steady_clock::now() - start;
  const auto alone = await_orphans(command.argv[0]);

  if (!status) return std::unexpected(status.error());
  const std::string complaint = first_line(read_output(*error));
  if (*status != 0 || !complaint.empty()) {
    return os::failed_with(0, "run",
                           fmt::format("{}: it {}{}{}", command.argv[0],
                                       *status != 0 ? status_text(*status) : "wrote to stderr",
                                       complaint.empty() ? "" : ": ", complaint));
  }
  if (!alone) return std::unexpected(alone.error());
  return Outcome{read_output(*output), elapsed.count()};
}

os::Result<os::Fd> make_output() {
  os::Fd file(::memfd_create("output", MFD_CLOEXEC));
  if (!file.valid()) return os::failed("make an output file");
  return file;
}

std::string read_output(const os::Fd& file) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return {};
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

std::string status_text(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(wait_status));
    return fmt::format("was killed by SIG{}", name == nullptr ? "?" : name);
  }
  if (WEXITSTATUS(wait_status) == 0) return {};
  return fmt::format("ended with status {}", WEXITSTATUS(wait_status));
}

os::Result<TemporaryDirectory> TemporaryDirectory::make() {
  std::error_code code;
  std::string path = std::filesystem::temp_directory_path(code) / "prewarm-bench.XXXXXX";
  if (code) return os::failed_with(code.value(), "find the temporary directory");
  if (::mkdtemp(path.data()) == nullptr) return os::failed("make a directory", path);
  return TemporaryDirectory(std::move(path));
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;  // nobody is left to be told
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

os::Result<void> write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) return os::failed("write", path);
  return {};
}

}  // namespace prewarm::bench
