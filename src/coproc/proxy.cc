// SPDX-License-Identifier: MIT
#include "coproc/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/self.h"
#include "os/signal_queue.h"

namespace prewarm::coproc {
namespace {

constexpr std::uint64_t bit(int number) { return std::uint64_t{1} << (number - 1); }

sigset_t set_of(std::uint64_t bits) {
  sigset_t set;
  sigemptyset(&set);
  for (int number = 1; number < NSIG; ++number) {
    if ((bits & bit(number)) != 0) sigaddset(&set, number);
  }
  return set;
}

// What may come from outside and would have reached the tool. Not: what can't be caught, what the
// kernel sends to who has made a mistake, and the ends of children.
std::uint64_t passed_on() {
  constexpr int kNot[] = {SIGKILL, SIGSTOP, SIGCHLD, SIGSEGV, SIGBUS,
                          SIGILL,  SIGFPE,  SIGTRAP, SIGSYS};
  std::uint64_t bits = ~std::uint64_t{0};
  for (const int number : kNot) bits &= ~bit(number);
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction now;
    // Of those between the kernel's first real-time signal and the C library's first the library
    // tells nothing: they are its own.
    const bool known = ::sigaction(number, nullptr, &now) == 0;
    const bool is_ignored = known && now.sa_handler == SIG_IGN;
    // What the caller has blocked stays with him.
    if (!known || is_ignored || sigismember(&blocked, number) == 1) bits &= ~bit(number);
  }
  return bits;
}

// Of several names of a file the same one, where that costs nothing.
std::string absolute(std::string_view path, const std::string& directory) {
  while (path.starts_with("./")) {
    path.remove_prefix(2);
    while (path.starts_with('/')) path.remove_prefix(1);  // ".//tool" isn't "/tool"
  }
  return path.starts_with('/') ? std::string(path) : directory + "/" + std::string(path);
}

bool is_script(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  char head[2];
  return fd.valid() && ::read(fd.get(), head, 2) == 2 && head[0] == '#' && head[1] == '!';
}

// One request, from the sending of it to its end.
class Proxy {
 public:
  explicit Proxy(Client& owner) : owner_(owner), signals_(set_of(passed_on())) {}
  os::Result<Outcome> run(const Invocation& invocation);

 private:
  os::Result<Outcome> exchange(const Invocation& invocation);
  os::Result<Outcome> lost(const Error& error) const;
  void pass_on_all();
  void stop(int number);

  Client& owner_;
  os::SignalQueue signals_;
  std::uint32_t id_ = 0;
  bool sent_ = false;         // the whole request
  bool signalled_ = false;    // more has been sent after it
  std::uint64_t passed_ = 0;  // signals that were passed on
};

os::Result<Outcome> Proxy::run(const Invocation& invocation) {
  auto outcome = signals_.valid() ? exchange(invocation)
                                  : os::Result<Outcome>(Outcome::not_run("refused", "no signalfd"));
  if (outcome && !outcome->was_run()) {
    for (int number = 1; number < NSIG; ++number) {
      if ((passed_ & bit(number)) != 0) ::kill(::getpid(), number);
    }
  }
  signals_.restore();
  return outcome;
}

os::Result<Outcome> Proxy::exchange(const Invocation& invocation) {
  const auto id = owner_.send(invocation, {0, 1, 2}, false);
  // Not all of it has gone: nobody runs it.
  if (!id) return Outcome::not_run("refused", id.error().message());
  id_ = *id;
  sent_ = !owner_.wants_to_write();
  for (;;) {
    const auto events = static_cast<short>(POLLIN | (owner_.wants_to_write() ? POLLOUT : 0));
    pollfd polled[] = {{owner_.fd(), events, 0}, {signals_.fd(), POLLIN, 0}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return os::failed("wait for the tool");
    // As long as nobody has the whole request a signal is this process's.
    if (!sent_ && polled[1].revents != 0) return Outcome::not_run("cancelled", "a signal came");
    pass_on_all();
    // What can't be sent is told by the answer, or by its absence.
    if (owner_.wants_to_write()) (void)owner_.flush();
    sent_ = sent_ || !owner_.wants_to_write();
    const auto answer = owner_.receive(false);
    if (!answer) return lost(answer.error());
    if (!*answer) continue;
    auto outcome = outcome_of(**answer);
    if (!outcome) return os::failed_with(EPROTO, "read an answer", outcome.error());
    return std::move(*outcome);
  }
}

// The owner has gone without an answer. It has run nothing that it has not read; but what it has
// not read may also have been a signal.
os::Result<Outcome> Proxy::lost(const Error& error) const {
  if (!sent_ || (error.code == ECONNRESET && !signalled_)) {
    return Outcome::not_run("refused", error.message());
  }
  return std::unexpected(error);
}

void Proxy::pass_on_all() {
  while (const auto info = signals_.next()) {
    const int number = static_cast<int>(info->ssi_signo);
    signalled_ = true;
    if (number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) {
      stop(number);
    } else {
      passed_ |= bit(number);
      (void)owner_.signal(id_, number);
    }
  }
}

// The worker is in a session of its own, where nobody could continue it: the kernel ignores SIGTSTP
// and its like there. So it gets SIGSTOP; and this process stops as the signal has it, so that its
// parent sees which it was.
void Proxy::stop(int number) {
  (void)owner_.signal(id_, SIGSTOP);
  ::signal(number, SIG_DFL);
  ::raise(number);
  const sigset_t only = os::signal_set({number});
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::sigprocmask(SIG_BLOCK, &only, nullptr);
  // If it has not stopped us (nobody could continue us, either), no SIGCONT will come.
  sigset_t waiting;
  ::sigpending(&waiting);
  if (sigismember(&waiting, SIGCONT) == 0) (void)owner_.signal(id_, SIGCONT);
}

}  // namespace

os::Result<Invocation> invocation_from_here(const std::string& path, char* const* argv,
                                            char* const* env) {
  Invocation invocation;
  for (char* const* a = argv; *a != nullptr; ++a) invocation.arguments.emplace_back(*a);
  for (char* const* v = env; *v != nullptr; ++v) {
    const std::string_view variable = *v;
    if (const auto equals = variable.find('='); equals == 0 || equals == variable.npos) {
      return os::failed_with(EINVAL, "tell the environment variable", *v);
    }
    invocation.environment.emplace_back(variable);
  }
  invocation.clear_environment = true;
  const std::string directory = os::working_directory();
  if (directory.empty()) return os::failed("find the working directory");
  invocation.directory = directory;
  invocation.program = absolute(path, directory);
  if (is_script(path)) invocation.arguments[0] = path;
  invocation.umask = os::current_umask();
  return invocation;
}

os::Result<Outcome> stand_for(Client& owner, const Invocation& invocation) {
  return Proxy(owner).run(invocation);
}

void end_like(const Outcome& outcome) {
  if (outcome.kind == Outcome::Kind::killed) {
    const rlimit none{0, 0};  // one core file is enough
    ::setrlimit(RLIMIT_CORE, &none);
    ::signal(outcome.value, SIG_DFL);
    const sigset_t only = os::signal_set({outcome.value});
    ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
    ::raise(outcome.value);
    ::_exit(128 + outcome.value);
  }
  ::_exit(outcome.value);
}

}  // namespace prewarm::coproc
