// SPDX-License-Identifier: MIT
//
// For tests only: writes what it has been started with to the file that its first argument names,
// one line for each thing. Nothing is opened before it has looked at its descriptors.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>

extern char** environ;

namespace {

constexpr int kDescriptors = 64;
// glibc keeps them to itself (see docs/posix-spawn.md about what it leaves them at).
constexpr int kInternal[] = {32, 33};

std::string number(long value) { return std::to_string(value); }

std::string descriptors() {
  std::string text;
  for (int fd = 0; fd < kDescriptors; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    if (flags < 0) continue;
    char target[4096];
    const std::string link = "/proc/self/fd/" + number(fd);
    const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
    text += "fd " + number(fd) + " cloexec " + number(flags & FD_CLOEXEC) + " mode " +
            number(::fcntl(fd, F_GETFL)) + " " +
            std::string(target, static_cast<std::size_t>(size < 0 ? 0 : size)) + "\n";
  }
  return text;
}

std::string signals() {
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  std::string text;
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == kInternal[0] || signal == kInternal[1]) continue;
    struct sigaction action;
    if (::sigaction(signal, nullptr, &action) != 0) continue;
    const bool is_blocked = ::sigismember(&blocked, signal) == 1;
    const bool is_ignored = action.sa_handler == SIG_IGN;
    if (!is_blocked && !is_ignored) continue;
    text += "signal " + number(signal) + (is_blocked ? " blocked" : "") +
            (is_ignored ? " ignored" : "") + "\n";
  }
  return text;
}

std::string strings(const char* name, char* const* from) {
  std::string text;
  for (; *from != nullptr; ++from) text += std::string(name) + " " + *from + "\n";
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::string text = descriptors() + signals();
  sched_param priority{};
  ::sched_getparam(0, &priority);
  text += "scheduler " + number(::sched_getscheduler(0)) + " " + number(priority.sched_priority);
  const auto leads = [](pid_t group) {
    return group == ::getpid() ? "its own" : group == ::getppid() ? "the parent's" : "another";
  };
  text += std::string("\nsession ") + leads(::getsid(0)) + "\ngroup " + leads(::getpgrp());
  text += "\nids " + number(::getuid()) + " " + number(::geteuid()) + " " + number(::getgid()) +
          " " + number(::getegid());
  char directory[4096];
  text += std::string("\ndirectory ") +
          (::getcwd(directory, sizeof directory) != nullptr ? directory : "?");
  const mode_t mask = ::umask(0);
  text += "\numask " + number(mask) + "\n";
  text += strings("argument", argv) + strings("variable", environ);

  const int out = ::open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
}
