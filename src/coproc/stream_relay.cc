// SPDX-License-Identifier: MIT
#include "coproc/stream_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <memory>

namespace prewarm::coproc {
namespace {

// As much as a pipe holds.
constexpr std::size_t kCopyBytes = 65536;
constexpr std::size_t kStackBytes = 256 * 1024;

int wake_signal() { return SIGRTMAX; }

void no_op(int) {}

// A handler without SA_RESTART is all that it takes for a signal to interrupt a system call.
void install_wake_handler() {
  struct sigaction action{};
  action.sa_handler = no_op;
  ::sigaction(wake_signal(), &action, nullptr);
}

void add_one(int eventfd) {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then it is readable.
  [[maybe_unused]] const ssize_t n = ::write(eventfd, &one, sizeof one);
}

std::string descriptor_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

bool can_be_put_back(int fd) {
  struct stat s;
  return ::fstat(fd, &s) == 0 && (S_ISREG(s.st_mode) || S_ISBLK(s.st_mode));
}

}  // namespace

Relay::~Relay() { assert(!started_); }

os::Result<void> Relay::start(int done) {
  install_wake_handler();
  done_ = done;
  told_ = os::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!told_.valid()) return os::failed("make an eventfd");
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  const int code = ::pthread_create(&thread_, &attributes, enter, this);
  ::pthread_attr_destroy(&attributes);
  if (code != 0) return os::failed_with(code, "start a thread");
  started_ = true;
  return {};
}

void* Relay::enter(void* relay) {
  auto& self = *static_cast<Relay*>(relay);
  sigset_t wake;
  ::sigemptyset(&wake);
  ::sigaddset(&wake, wake_signal());
  ::pthread_sigmask(SIG_UNBLOCK, &wake, nullptr);
  self.run();
  self.finished_.store(true);
  add_one(self.done_);
  return nullptr;
}

void Relay::tell(Wish wish) {
  if (wish_.load() < wish) wish_.store(wish);
  if (!started_) return;
  add_one(told_.get());
  nudge();
}

void Relay::nudge() {
  if (started_ && !finished()) ::pthread_kill(thread_, wake_signal());
}

void Relay::join() {
  if (!started_) return;
  ::pthread_join(thread_, nullptr);
  started_ = false;
}

Relay::Events Relay::wait(int fd, short events, int other, short other_events) const {
  pollfd polled[] = {{fd, events, 0}, {other, other_events, 0}, {told_.get(), POLLIN, 0}};
  if (::poll(polled, std::size(polled), -1) < 0) return {};
  return {polled[0].revents, polled[1].revents, polled[2].revents != 0};
}

bool Relay::write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    if (wish() == Wish::abandon) return false;
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd p{fd, POLLOUT, 0};  // the caller has made it nonblocking
      ::poll(&p, 1, -1);
    } else if (errno != EINTR) {
      error_ = errno;
      return false;
    }
  }
  return true;
}

OutputRelay::OutputRelay(os::Fd fifo, os::Fd target, std::string text)
    : fifo_(std::move(fifo)), target_(std::move(target)), text_(std::move(text)) {}

void OutputRelay::run() {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kCopyBytes);
  bool good = write_all(target_.get(), text_);
  while (good && fifo_.valid()) {
    // The wish is looked at before the pipe: what was written before it is there then.
    const Wish wished = wish();
    if (wished == Wish::abandon) break;
    const ssize_t n = ::read(fifo_.get(), buffer.get(), kCopyBytes);
    if (n > 0) {
      good = write_all(target_.get(), {buffer.get(), static_cast<std::size_t>(n)});
    } else if (wished == Wish::finish) {
      break;
    } else {
      // A FIFO that nobody has opened yet gives an end of file, too; poll knows the difference.
      const Events events = wait(fifo_.get(), POLLIN);
      if ((events.first & POLLIN) == 0 && (events.first & (POLLHUP | POLLERR)) != 0) break;
    }
  }
  fifo_.reset();
  target_.reset();
}

InputRelay::InputRelay(os::Fd fifo, os::Fd source)
    : fifo_(std::move(fifo)), source_(std::move(source)) {}

void InputRelay::run() {
  const std::string path = descriptor_path(fifo_.get());
  while (!writer_.valid() && wish() == Wish::none) {
    // Waits for the reader; a nudge interrupts it.
    const int writer = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (writer < 0 && errno != EINTR) break;
    writer_.reset(writer);
  }
  if (writer_.valid()) {
    ::fcntl(writer_.get(), F_SETFL, O_NONBLOCK);
    copy();
  }
  writer_.reset();
  counter_.reset();
  fifo_.reset();
  source_.reset();
}

void InputRelay::copy() {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kCopyBytes);
  std::string_view rest;
  bool good = true;
  while (good && wish() == Wish::none) {
    // Not more ahead than the FIFO holds.
    const Events room = wait(writer_.get(), POLLOUT);
    if (room.wished || (room.first & POLLERR) != 0) break;
    const Events events = wait(source_.get(), POLLIN, writer_.get(), 0);
    if (events.wished || events.second != 0) break;
    if (events.first == 0) continue;
    const ssize_t n = ::read(source_.get(), buffer.get(), kCopyBytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) break;
    rest = {buffer.get(), static_cast<std::size_t>(n)};
    good = put(rest);
  }
  // The reader sees the end, and has time to get there.
  counter_ =
      os::Fd(::open(descriptor_path(fifo_.get()).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  writer_.reset();
  while (wish() == Wish::none) wait(-1, 0);
  const std::size_t left = left_in_fifo() + rest.size();
  if (left > 0 && can_be_put_back(source_.get())) {
    ::lseek(source_.get(), -static_cast<off_t>(left), SEEK_CUR);
  }
}

bool InputRelay::put(std::string_view& text) {
  while (!text.empty()) {
    const ssize_t n = ::write(writer_.get(), text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      if (wait(writer_.get(), POLLOUT).wished) return false;
    } else if (errno != EINTR) {
      return false;
    }
    if (wish() != Wish::none) return false;
  }
  return true;
}

std::size_t InputRelay::left_in_fifo() const {
  int left = 0;
  const int fd = counter_.get();
  return fd >= 0 && ::ioctl(fd, FIONREAD, &left) == 0 ? static_cast<std::size_t>(left) : 0;
}

}  // namespace prewarm::coproc
