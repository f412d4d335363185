// SPDX-License-Identifier: MIT
//
// One program held at its ready point, and its launches: what the `ready` adapter serves from.
//
// The owner's process must not have other children than those made here, block SIGCHLD or have a
// handler for it, and call `reap` when it comes. Not thread-safe.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coproc/invocation.h"
#include "coproc/ready_command.h"
#include "coproc/service.h"
#include "launch/reason.h"
#include "launch/request.h"
#include "park/pool.h"

namespace prewarm::coproc {

class HeldProgram {
 public:
  enum class State : std::uint8_t { starting, held, refused };
  // What became of an attempt to launch.
  struct Launched {
    pid_t pid = 0;  // leader of a process group of its own; 0: not launched
    // Then: nothing can be said yet, try again; or why it won't be.
    bool later = false;
    Outcome refusal{};
  };
  struct Ended {
    pid_t pid;
    int status;
    rusage usage;
  };

  // What launches inherit, as signals(7) are numbered: bit n-1 is signal n.
  struct Signals {
    std::uint64_t mask = 0;
    std::uint64_t ignored = 0;
  };

  HeldProgram(ReadyCommand command, std::string agent, std::vector<std::string> environment,
              Signals signals);

  // Starts it anew, whatever was before. Launches that run go on.
  void start();
  // How far it is. Doesn't wait.
  State state();
  // Waits until it is not `starting` any more, or `wait_ms`.
  void wait(int wait_ms);
  launch::Reason reason() const { return reason_; }  // of a refusal

  // Launches a copy. Waits until it has taken its request, or some milliseconds if there is none
  // yet. Where a copy would not be what a start now would make, the program is started: the
  // environment is another, or it can't be held any more. If a file has changed, or the environment
  // repeatedly, then what is held starts anew.
  Launched launch(const Invocation& invocation, const Streams& streams);

  // A child that has ended and was launched here; nothing: there is no more.
  std::optional<Ended> reap();

 private:
  std::optional<Launched> warm(const launch::LaunchRequest& request);
  Launched cold(const Invocation& invocation, launch::LaunchRequest& request);
  bool fits(const Invocation& invocation, char* const* env);
  void refuse(launch::Reason reason);
  bool leads_here(const Invocation& invocation) const;
  void open();

  ReadyCommand command_;
  std::string agent_;
  std::vector<std::string> environment_;
  Signals signals_;
  mode_t umask_;
  std::unique_ptr<park::Pool> pool_;
  unsigned program_ = 0;
  State state_ = State::refused;
  launch::Reason reason_ = launch::Reason::not_parked_yet;
  std::int64_t started_at_ns_ = 0;
  unsigned changed_starts_ = 0;      // in a row, because a file had changed meanwhile
  unsigned unused_starts_ = 0;       // in a row
  unsigned without_copy_ = 0;        // waits in a row
  unsigned other_environments_ = 0;  // requests in a row
  std::vector<char> wire_;
};

}  // namespace prewarm::coproc
