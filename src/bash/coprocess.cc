// SPDX-License-Identifier: GPL-3.0-or-later
//
// Coprocesses: a forked child is about to exec a command that is declared to be one. A worker runs
// it; the child stays in its place as a proxy, which passes signals on and ends as the command
// ends. So `&`, `wait`, redirections, pipelines, `$( )` and traps are as always.
#include "bash/coprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "bash/ending.h"
#include "bash/front.h"
#include "coproc/client.h"
#include "coproc/invocation.h"
#include "coproc/owner_client.h"

namespace prewarm::bash {

using coproc::Outcome;
using launch::Reason;

namespace {

constexpr std::uint64_t bit(int sig) { return std::uint64_t{1} << (sig - 1); }

sigset_t set_of(std::uint64_t bits) {
  sigset_t set;
  sigemptyset(&set);
  for (int sig = 1; sig < NSIG; ++sig) {
    if ((bits & bit(sig)) != 0) sigaddset(&set, sig);
  }
  return set;
}

// What may come from outside and would have reached the program. Not: what can't be caught, what
// the kernel sends to who has made a mistake, and the ends of children.
std::uint64_t passed_on() {
  constexpr int kNot[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGBUS,
                          SIGILL,  SIGFPE,  SIGTRAP, SIGSYS};
  std::uint64_t bits = ~std::uint64_t{0};
  for (const int sig : kNot) bits &= ~bit(sig);
  // Between the kernel's and the C library's first real-time signal: the library's own.
  for (int sig = 32; sig < SIGRTMIN; ++sig) bits &= ~bit(sig);
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  return bits & ~ignored_now() & ~mask_bits(blocked);
}

// Whether the kernel might stop a program in this place for its use of its terminal: a worker,
// which has another one or none, would go on.
bool may_be_stopped_by_terminal() {
  for (const int fd : {0, 1, 2}) {
    const pid_t foreground = ::tcgetpgrp(fd);
    if (foreground < 0 || foreground == ::getpgrp()) continue;
    termios state;
    if (fd == 0 || ::tcgetattr(fd, &state) != 0 || (state.c_lflag & TOSTOP) != 0) return true;
  }
  return false;
}

bool is_program(const char* path) {
  struct stat s;
  return ::stat(path, &s) == 0 && S_ISREG(s.st_mode) && ::access(path, X_OK) == 0;
}

// An argument that speaks of the process that it is given to, its descriptors or its terminal.
bool mention_own_process(char* const* argv) {
  if (mention_proc(argv)) return true;
  for (; *argv != nullptr; ++argv) {
    for (const char* name : {"/dev/fd", "/dev/std", "/dev/tty"}) {
      if (std::strstr(*argv, name) != nullptr) return true;
    }
  }
  return false;
}

// False: it can't be told in a message.
bool describe(const char* path, char* const* argv, char* const* env,
              const launch::Settings& settings, coproc::Invocation& to) {
  char directory[PATH_MAX];
  if (::getcwd(directory, sizeof directory) == nullptr || directory[0] != '/') return false;
  to.directory = directory;
  while (path[0] == '.' && path[1] == '/') path += 2;
  to.program = path[0] == '/' ? std::string(path) : std::string(directory) + "/" + path;
  for (char* const* a = argv; *a != nullptr; ++a) to.arguments.emplace_back(*a);
  for (char* const* e = env; *e != nullptr; ++e) {
    const char* equals = std::strchr(*e, '=');
    if (equals == nullptr || equals == *e) return false;
    to.environment.emplace_back(*e);
  }
  to.clear_environment = true;
  to.umask = current_umask();
  to.declarations = settings.declarations;
  return !to.arguments.empty();
}

// One request at a server, in the place of a program: from the sending of it to its end.
class Proxy {
 public:
  explicit Proxy(coproc::Client client) : client_(std::move(client)) {}

  int fd() const { return client_.fd(); }
  // Not run: what came to this process meanwhile has come to it again when this returns.
  Outcome run(const coproc::Invocation& invocation);

 private:
  Outcome exchange(const coproc::Invocation& invocation);
  Outcome lost(int error) const;
  void pass_on(int sig);
  void stop(int sig);

  coproc::Client client_;
  os::Fd signals_;
  std::uint32_t id_ = 0;
  bool sent_ = false;         // the whole request
  std::uint64_t passed_ = 0;  // signals that were passed on
};

Outcome Proxy::run(const coproc::Invocation& invocation) {
  const sigset_t set = set_of(passed_on());
  sigset_t before;
  ::sigprocmask(SIG_BLOCK, &set, &before);
  signals_ = os::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  Outcome outcome = signals_.valid() ? exchange(invocation) : Outcome::not_run({}, {});
  if (outcome.was_run()) return outcome;
  for (int sig = 1; sig < NSIG; ++sig) {
    if ((passed_ & bit(sig)) != 0) ::kill(::getpid(), sig);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return outcome;
}

Outcome Proxy::exchange(const coproc::Invocation& invocation) {
  const auto id = client_.send(invocation, {0, 1, 2}, false);
  if (!id) return Outcome::not_run({}, {});
  id_ = *id;
  sent_ = !client_.wants_to_write();
  for (;;) {
    const auto events = static_cast<short>(POLLIN | (client_.wants_to_write() ? POLLOUT : 0));
    pollfd ready[] = {{client_.fd(), events, 0}, {signals_.get(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR) return lost(errno);
    // Nobody has the whole request yet: the signal is this process's.
    if (!sent_ && ready[1].revents != 0) return Outcome::not_run({}, {});
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      pass_on(static_cast<int>(info.ssi_signo));
    }
    // What can't be sent is told by the answer, or by its absence.
    if (client_.wants_to_write()) (void)client_.flush();
    sent_ = sent_ || !client_.wants_to_write();
    const auto answer = client_.receive(false);
    if (!answer) return lost(answer.error().code);
    if (!*answer) continue;
    auto outcome = coproc::outcome_of(**answer);
    return outcome ? std::move(*outcome) : lost(EPROTO);
  }
}

// The server has gone without an answer. It has not run what it has not read; what it may have read
// nobody may run again.
Outcome Proxy::lost(int error) const {
  if (!sent_ || (error == ECONNRESET && passed_ == 0)) return Outcome::not_run({}, {});
  auto outcome = Outcome::exited(coproc::kFailedStatus);
  outcome.message = "the owner of its workers has ended";
  return outcome;
}

void Proxy::pass_on(int sig) {
  if (sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU) return stop(sig);
  passed_ |= bit(sig);
  (void)client_.signal(id_, sig);
}

// The worker is in a session of its own, and nobody there could continue it: the kernel ignores
// SIGTSTP and its like there. So it is SIGSTOP, and our own stop as the signal has it.
void Proxy::stop(int sig) {
  (void)client_.signal(id_, SIGSTOP);
  ::signal(sig, SIG_DFL);
  ::raise(sig);
  const sigset_t only = set_of(bit(sig));
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::sigprocmask(SIG_BLOCK, &only, nullptr);
  // If it has not stopped us (nobody could continue us, either), no SIGCONT will come.
  sigset_t waiting;
  ::sigpending(&waiting);
  if (sigismember(&waiting, SIGCONT) == 0) (void)client_.signal(id_, SIGCONT);
}

[[noreturn]] void end_as(const Outcome& outcome, const char* name) {
  // Whoever looks for the reason of a status that isn't the tool's own finds it nowhere else.
  if (!outcome.message.empty()) ::dprintf(2, "prewarm: %s: %s\n", name, outcome.message.c_str());
  end_alike(outcome.kind == Outcome::Kind::killed ? outcome.value : outcome.value << 8);
}

}  // namespace

StartLimits StartLimits::now() {
  StartLimits result{};
  for (unsigned i = 0; i < RLIM_NLIMITS; ++i) {
    ::getrlimit(static_cast<__rlimit_resource>(i), &result.limits[i]);
  }
  result.nice = ::getpriority(PRIO_PROCESS, 0);
  return result;
}

bool StartLimits::operator==(const StartLimits& other) const {
  const auto same = [](const rlimit& a, const rlimit& b) {
    return a.rlim_cur == b.rlim_cur && a.rlim_max == b.rlim_max;
  };
  return nice == other.nice &&
         std::equal(std::begin(limits), std::end(limits), std::begin(other.limits), same);
}

coproc::Declarations declared_by(const launch::Settings& settings) {
  coproc::Declarations result;
  const auto add = [&result](const std::string& name, coproc::Protocol protocol) {
    auto& command = result.commands.emplace_back();
    command.name = name;
    command.protocol = protocol;
  };
  for (const auto& name : settings.coprocesses) add(name, coproc::Protocol::automatic);
  for (const auto& name : settings.batch) add(name, coproc::Protocol::batch);
  return result;
}

bool Front::is_coprocess(const char* called, const std::string& path) const {
  if (coprocesses_.commands.empty() || called == nullptr) return false;
  const auto* declaration = coprocesses_.find(called, path);
  return declaration != nullptr && declaration->protocol != coproc::Protocol::batch;
}

// Whether a worker would do the same as the program that this process is about to become.
Reason Front::may_be_done() const {
  if (this_shell_builtin == exec_builtin) return Reason::exec_builtin;
  if (restricted != 0 || privileged_mode != 0) return Reason::restricted;
  if (attributes_uncertain) return Reason::shell_attributes;
  if (opened_proc_) return Reason::redirection;
  if (!(start_limits_ == StartLimits::now())) return Reason::limits_changed;
  return may_be_stopped_by_terminal() ? Reason::job_control : Reason::none;
}

// Returns only if the exec has to happen, and why.
Reason Front::have_it_done(const char* path, char* const* argv, char* const* env) {
  if (const Reason r = may_be_done(); r != Reason::none) return r;
  // A worker might run what the kernel would not.
  if (!is_program(path)) return Reason::not_a_file;
  if (mention_own_process(argv)) return Reason::coprocess_descriptors;
  descriptors.start();
  if (!descriptors.inheritable(scratch_fds_)) return Reason::coprocess_descriptors;
  if (scratch_fds_ != std::vector<int>{0, 1, 2}) return Reason::coprocess_descriptors;
  coproc::Invocation invocation;
  if (!describe(path, argv, env, settings_, invocation)) return Reason::request_too_large;
  auto client = coproc::connect_to_owner(settings_.command);
  if (!client) return Reason::coprocess;

  // Whatever the exec would have closed must not wait for us. What is ours goes in order, because
  // bash may go on after a failed exec.
  give_up();
  Proxy proxy(std::move(*client));
  ::close_range(3, static_cast<unsigned>(proxy.fd()) - 1, 0);
  ::close_range(static_cast<unsigned>(proxy.fd()) + 1, ~0U, 0);
  const Outcome outcome = proxy.run(invocation);
  if (!outcome.was_run()) return Reason::coprocess;
  count(path, Rung::coprocess, Reason::none);
  at_exit();  // if this was the shell itself
  end_as(outcome, argv[0]);
}

}  // namespace prewarm::bash
