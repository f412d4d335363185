// SPDX-License-Identifier: MIT
//
// A ring's completions: a bounded queue in which room is reserved when operations are submitted, so
// that no completion is ever lost. Safe for threads.
#pragma once

#include <mutex>
#include <span>
#include <vector>

#include "cold/futex.h"
#include "prewarm/spawn.h"

namespace prewarm::cold {

class Completions {
 public:
  explicit Completions(unsigned capacity) : queue_(capacity) {}

  // Room for that many; false if there isn't.
  bool reserve(unsigned count);
  // What room has been reserved for.
  void post(Completion completion);
  void post(std::uint64_t user_data, OperationCode code, std::int32_t result);
  // Tells those that wait; after one or more posts.
  void announce();

  unsigned take(std::span<Completion> completions);
  // Reserved and not taken.
  unsigned outstanding() const;
  // Whether this operation's completion is there.
  bool holds(std::uint64_t user_data, OperationCode code) const;

  // Changes when there is something to take, when nothing is outstanding any more, and when those
  // that wait are to look again.
  const Word& changes() const { return changes_; }
  void stir();
  // Whoever sleeps on changes() says so, or isn't woken.
  void begin_wait() { waiting_.fetch_add(1); }
  void end_wait() { waiting_.fetch_sub(1); }

  // Readable while there is something to take; made when it is asked for first. -1: it can't be.
  int pollable();

 private:
  unsigned size() const { return posted_ - taken_; }

  mutable std::mutex mutex_;
  std::vector<Completion> queue_;  // as a circle; posted_ and taken_ only grow
  unsigned reserved_ = 0;          // all that room was ever reserved for
  unsigned posted_ = 0;
  unsigned taken_ = 0;
  Fd event_;
  bool event_set_ = false;
  Word changes_{0};
  std::atomic<unsigned> waiting_{0};
};

}  // namespace prewarm::cold
