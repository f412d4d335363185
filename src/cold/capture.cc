// SPDX-License-Identifier: MIT
//
// Process::capture: all three pipes at once, so that neither side waits for the other for ever.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <utility>

#include "cold/deadline.h"
#include "os/result.h"
#include "prewarm/process.h"

namespace prewarm {
namespace {

constexpr std::size_t kBufferBytes = 65536;  // what a pipe holds (pipe(7))

// While it lives, this thread gets no SIGPIPE by its own writing: the program may end without
// reading its input, and that is no fault. One that was pending before stays so.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &only_sigpipe(), &before_);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  ~NoSigpipe() {
    // It is sent to the thread that wrote, so there is nobody else who might take it.
    const timespec at_once{};
    while (!was_pending_ && ::sigtimedwait(&only_sigpipe(), nullptr, &at_once) == SIGPIPE) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  static const sigset_t& only_sigpipe() {
    static const sigset_t set = [] {
      sigset_t one;
      ::sigemptyset(&one);
      ::sigaddset(&one, SIGPIPE);
      return one;
    }();
    return set;
  }

  bool was_pending_;
  sigset_t before_;
};

// Our end of one pipe from the program, and what came out of it.
class Reader {
 public:
  Reader(Fd& fd, std::string& text, std::size_t max_bytes)
      : fd_(fd), text_(text), max_bytes_(max_bytes) {}

  bool truncated() const { return truncated_; }
  int fd() const { return fd_.get(); }

  // One read; whether there may be more just now.
  bool read(char* buffer) {
    if (!fd_.valid()) return false;
    const ssize_t n = ::read(fd_.get(), buffer, kBufferBytes);
    if (n < 0 && errno == EINTR) return true;
    if (n < 0 && errno == EAGAIN) return false;
    if (n <= 0) {
      fd_.reset();
      return false;
    }
    const auto got = static_cast<std::size_t>(n);
    const std::size_t kept = std::min(got, max_bytes_ - text_.size());
    text_.append(buffer, kept);
    truncated_ = truncated_ || kept < got;
    return true;
  }

 private:
  Fd& fd_;
  std::string& text_;
  std::size_t max_bytes_;
  bool truncated_ = false;
};

// Our end of the pipe to the program, and what is still to go in.
class Writer {
 public:
  Writer(Fd& fd, std::string_view input) : fd_(fd), left_(input) {
    if (left_.empty()) fd_.reset();
  }

  int fd() const { return fd_.get(); }

  void write() {
    const ssize_t n = ::write(fd_.get(), left_.data(), left_.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    // It need not read all of it (EPIPE).
    left_.remove_prefix(n < 0 ? left_.size() : static_cast<std::size_t>(n));
    if (left_.empty()) fd_.reset();
  }

 private:
  Fd& fd_;
  std::string_view left_;
};

// Until all pipes are closed, the time is over, or, if that counts, a stream is full.
Result<void> converse(Writer& in, Reader& out, Reader& err, const cold::Deadline& deadline,
                      bool until_full) {
  const NoSigpipe no_sigpipe;
  const auto buffer = std::make_unique<char[]>(kBufferBytes);
  while (!deadline.over() && !(until_full && (out.truncated() || err.truncated()))) {
    pollfd ready[] = {{in.fd(), POLLOUT, 0}, {out.fd(), POLLIN, 0}, {err.fd(), POLLIN, 0}};
    if (in.fd() < 0 && out.fd() < 0 && err.fd() < 0) return {};
    if (::poll(ready, std::size(ready), deadline.left_ms()) < 0) {
      if (errno == EINTR) continue;
      return os::failed("poll");
    }
    if (ready[0].revents != 0) in.write();
    if (ready[1].revents != 0) out.read(buffer.get());
    if (ready[2].revents != 0) err.read(buffer.get());
  }
  return {};
}

Result<void> make_nonblocking(std::initializer_list<int> pipes) {
  for (const int fd : pipes) {
    if (fd < 0) continue;
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
      return os::failed("make nonblocking descriptor", std::to_string(fd));
    }
  }
  return {};
}

// What the program wrote before it was killed is in the pipes still.
void read_rest(Reader& reader) {
  const auto buffer = std::make_unique<char[]>(kBufferBytes);
  while (!reader.truncated() && reader.read(buffer.get())) {
  }
}

Result<std::optional<Exit>> wait_until(Process& process, const cold::Deadline& deadline) {
  const int left_ms = deadline.left_ms();
  if (left_ms >= 0) return process.wait_for(std::chrono::milliseconds(left_ms));
  const Result<Exit> ended = process.wait();
  if (!ended) return std::unexpected(ended.error());
  return *ended;
}

}  // namespace

Result<Output> Process::capture(const CaptureOptions& options) {
  if (!options.input.empty() && !in_.valid()) return os::failed_with(EINVAL, "capture", "input");
  if (const auto set = make_nonblocking({in_.get(), out_.get(), err_.get()}); !set) {
    return std::unexpected(set.error());
  }
  Output output;
  Writer in(in_, options.input);
  Reader out(out_, output.out, options.max_bytes);
  Reader err(err_, output.err, options.max_bytes);
  const cold::Deadline deadline(options.timeout);
  if (const auto done = converse(in, out, err, deadline, options.kill_when_full); !done) {
    return std::unexpected(done.error());
  }

  const bool full = options.kill_when_full && (out.truncated() || err.truncated());
  const bool at_end = in.fd() < 0 && out.fd() < 0 && err.fd() < 0;
  if (at_end && !full) {
    const auto ended = wait_until(*this, deadline);
    if (!ended) return std::unexpected(ended.error());
    if (*ended) {
      static_cast<Exit&>(output) = **ended;
      output.truncated = out.truncated() || err.truncated();
      return output;
    }
  }

  (void)kill(SIGKILL);  // it may have ended by itself just now
  const Result<Exit> ended = wait();
  if (!ended) return std::unexpected(ended.error());
  read_rest(out);
  read_rest(err);
  static_cast<Exit&>(output) = *ended;
  output.timed_out = !full;
  output.truncated = out.truncated() || err.truncated();
  return output;
}

}  // namespace prewarm
