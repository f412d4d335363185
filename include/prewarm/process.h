// SPDX-License-Identifier: MIT
//
// Process: a child of this process, until it has been waited for. How it ended: ExitStatus, Exit.
// Command (prewarm/command.h) makes them; so does whoever has a completion of a SpawnRing.
//
// Threads: a Process belongs to one thread at a time. Only pid(), pidfd(), and kill() of a process
// (not a group) that has a pidfd, may be called while another thread waits.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "prewarm/fd.h"
#include "prewarm/result.h"

namespace [[gnu::visibility("default")]] prewarm {

class ExitStatus {
 public:
  // `wait_status` is what waitpid(2) stores.
  explicit ExitStatus(int wait_status = 0) : wait_status_(wait_status) {}

  bool success() const { return wait_status_ == 0; }  // exited, with 0
  std::optional<int> code() const;                    // what it exited with
  std::optional<int> signal() const;                  // what killed it
  bool core_dumped() const;
  int wait_status() const { return wait_status_; }
  // "exited with 3", "killed by SIGSEGV (core dumped)"
  std::string message() const;

 private:
  int wait_status_;
};

struct Exit {
  ExitStatus status;
  // What it and its waited-for children used. All zero if another part of the program had waited
  // for it first.
  rusage usage{};
  bool timed_out = false;  // it was killed because its time was over

  bool success() const { return status.success() && !timed_out; }
};

struct Output : Exit {
  std::string out;
  std::string err;
  bool truncated = false;  // it wrote more than was kept
};

struct CaptureOptions {
  std::string_view input{};                            // goes to in(), if that is a pipe
  std::size_t max_bytes = std::size_t{64} << 20;       // kept of each stream
  bool kill_when_full = false;                         // else what is more is read and thrown away
  std::optional<std::chrono::milliseconds> timeout{};  // killed when it is over; none: no limit
};

class Process {
 public:
  // Owns the duty to wait for `pid`, a child of this process. An invalid pidfd is opened here, if
  // the kernel has them.
  explicit Process(pid_t pid, Fd pidfd = {});

  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;  // what it held is dropped, as by ~Process
  // Has the process not been waited for, then with kill_on_drop it is killed and waited for. Else
  // it runs on, as after detach().
  ~Process();

  pid_t pid() const { return pid_; }  // stays the same after wait; may then be somebody else's
  // Readable when the process has ended (poll(2)). Belongs to the Process. -1: no pidfds here.
  int pidfd() const { return pidfd_.get(); }

  // Our ends of the program's standard streams that are pipes; others are invalid. They are free to
  // be closed (reset) or taken away (std::move).
  Fd& in() { return in_; }  // what is written here, the program reads
  Fd& out() { return out_; }
  Fd& err() { return err_; }

  // Waits until it has ended. Closes in() first: a program that reads to the end of its input would
  // wait for us. A program that fills a pipe which nobody reads never ends; capture() reads.
  // A second call gives the same again. Signal handlers don't interrupt it. ECHILD: somebody else
  // has waited for it (or SIGCHLD is ignored) and the kernel (before 6.15) doesn't tell any more.
  Result<Exit> wait();
  // The same, but nothing if it has not ended in that time. 0 looks only, and leaves in() open.
  Result<std::optional<Exit>> wait_for(std::chrono::milliseconds timeout);

  // Gives input to the program, reads both of its streams to their end, in whatever order it uses
  // them, and waits for it. A stream ends when all who hold it have closed it, the program's own
  // children included; a timeout ends waiting for those, too. EINVAL: input, but in() is no pipe.
  Result<Output> capture(const CaptureOptions& options = {});

  // Never reaches another process that has got the same pid: ESRCH once it has been waited for.
  Result<void> kill(int signal = SIGKILL);

  // Nobody will wait for it: it runs on, and the library reaps it when it has ended, at the latest
  // when the next process is started, detached or dropped.
  void detach();

  void set_kill_on_drop(bool yes) { kill_on_drop_ = yes; }
  // The process leads a process group: kill(), timeouts and kill_on_drop mean all of that. Only
  // until it has been waited for; nobody knows afterwards whose the group's number is.
  void set_kill_group(bool yes) { kill_group_ = yes; }

 private:
  friend class Command;

  bool waited_for() const { return exit_.has_value() || pid_ <= 0; }
  Result<bool> reap(bool block);
  void drop();

  pid_t pid_ = -1;
  Fd pidfd_;
  Fd in_;
  Fd out_;
  Fd err_;
  std::optional<Exit> exit_;
  bool kill_on_drop_ = false;
  bool kill_group_ = false;
};

}  // namespace prewarm
