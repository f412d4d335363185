// SPDX-License-Identifier: MIT
//
// Threads that copy between a caller's open file and a FIFO. A thread for each stream: the caller's
// descriptors must not be made nonblocking (they are shared with others), and a write to a pipe
// that nobody reads must hold up nothing else.
//
// Whoever makes a relay polls `done` (an eventfd), to which each relay adds 1 when it has finished.
// A relay that was told to end may wait in a system call on the caller's file: `nudge` it again and
// again until it has finished.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::coproc {

class Relay {
 public:
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  virtual ~Relay();  // the derived class has called join()

  // The signals of the calling thread must be blocked: those are for it, not for a relay.
  os::Result<void> start(int done);
  // Ends when it has passed on what is there; waits for nothing but the caller's file.
  void finish() { tell(Wish::finish); }
  // Ends without that.
  void abandon() { tell(Wish::abandon); }
  // Interrupts what it waits in.
  void nudge();
  bool finished() const { return finished_.load(); }
  // What a write to the caller's file failed with, once it has finished; 0: nothing.
  int error() const { return error_; }

 protected:
  enum class Wish : std::uint8_t { none, finish, abandon };

  Relay() = default;
  virtual void run() = 0;
  void join();

  Wish wish() const { return wish_.load(); }
  // Waits for `events` of `fd` (and of `other`, if that is one), or a wish; says what came of each.
  struct Events {
    short first = 0;
    short second = 0;
    bool wished = false;
  };
  Events wait(int fd, short events, int other = -1, short other_events = 0) const;
  // All of `text` to the caller's file. False: it failed, or was abandoned.
  bool write_all(int fd, std::string_view text);

 private:
  static void* enter(void* relay);
  void tell(Wish wish);

  std::atomic<Wish> wish_{Wish::none};
  std::atomic<bool> finished_{false};
  int error_ = 0;
  os::Fd told_;  // eventfd: there is a wish
  int done_ = -1;
  pthread_t thread_{};
  bool started_ = false;
};

// From a FIFO to the caller. Closes both when no writer is left, or when the caller's end fails:
// then writers get EPIPE, as they would from that.
class OutputRelay : public Relay {
 public:
  // `fifo`: open for reading, nonblocking. Not valid: there is only `text`, which goes first.
  OutputRelay(os::Fd fifo, os::Fd target, std::string text = {});
  ~OutputRelay() override { join(); }

 private:
  void run() override;

  os::Fd fifo_;
  os::Fd target_;
  std::string text_;
};

// From the caller to a FIFO, which is opened when a reader opens it. Whatever the reader has not
// read at the end is put back, if the caller's is a file.
class InputRelay : public Relay {
 public:
  // `fifo`: opened with O_PATH, so that it is that one whatever becomes of its name.
  InputRelay(os::Fd fifo, os::Fd source);
  ~InputRelay() override { join(); }

 private:
  void run() override;
  void copy();
  bool put(std::string_view& text);  // false: nothing more can be put
  std::size_t left_in_fifo() const;

  os::Fd fifo_;
  os::Fd source_;
  os::Fd writer_;
  os::Fd counter_;  // keeps what is in the FIFO when the writer is closed
};

}  // namespace prewarm::coproc
