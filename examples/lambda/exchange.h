// SPDX-License-Identifier: MIT
//
// The conversation between one Lambda runtime and the Runtime API, apart from
// HTTP and processes: which event is out, what came back, whether it was right
// and how long it took.
//
// Two sides use an Exchange. The *server* side (take_next, respond, ...) is
// called by the threads that speak HTTP; take_next blocks them. The *caller*
// side (offer, collect, ...) never blocks: whoever drives the conversation
// polls changed_fd() and looks again after each change. One event is out at a
// time, as in a Lambda execution environment.

#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "prewarm/fd.h"
#include "result.h"

namespace lambda {

using Clock = std::chrono::steady_clock;

struct Event {
  std::string request_id;
  std::string body;
  std::string expected_answer;  // exactly what the handler must make of `body`
};

struct Invocation {
  // From handing out the event to having received its answer.
  std::chrono::nanoseconds answer_time{};
  // From handing out the event to being asked for the next one: the whole loop.
  std::chrono::nanoseconds loop_time{};
  bool right = false;
};

enum class Verdict {
  accepted,
  unknown_id,        // no event with this id was ever handed out
  already_answered,  // this event has its answer
};

class Exchange {
 public:
  // `name` opens every problem text.
  static Result<std::unique_ptr<Exchange>> create(std::string name);

  // --- caller side; none of these blocks ---

  // Readable after the runtime has asked for an event or has reported that it
  // cannot start. Poll it, then call acknowledge(), then look at the state.
  int changed_fd() const { return changed_.get(); }
  void acknowledge();

  // Is the runtime waiting for an event?
  bool asking() const;
  // Gives the waiting runtime an event. Only if asking() and nothing is out.
  void offer(Event event);
  // The finished invocation, once it is answered and the next event asked for.
  std::optional<Invocation> collect();
  // From now on the answer to `next` is that there is nothing more to do.
  void close();
  // What the runtime said to init/error, if it did.
  std::optional<std::string> init_error() const;

  // Everything wrong so far, in order: the first kMaxProblems texts, and how
  // many there were in all.
  static constexpr size_t kMaxProblems = 20;
  std::vector<std::string> problems() const;
  size_t problem_count() const;

  // --- server side ---

  // Waits for an event to hand out; nothing after close(). The invocation's
  // clock starts as this returns. A client that hangs up while waiting is not
  // noticed: its event goes unanswered, and the caller's time limit ends it.
  std::optional<Event> take_next();
  Verdict respond(std::string_view request_id, std::string_view body, Clock::time_point received);
  Verdict report_error(std::string_view request_id, std::string_view body,
                       Clock::time_point received);
  void report_init_error(std::string_view body);

 private:
  Exchange(std::string name, prewarm::Fd changed)
      : name_(std::move(name)), changed_(std::move(changed)) {}

  // The functions below want mutex_ held.
  Verdict judge(std::string_view request_id, const char* what);
  void finish_current(Clock::time_point at, bool right);
  void add_problem(std::string text);
  void signal_change();

  const std::string name_;
  prewarm::Fd changed_;  // eventfd

  mutable std::mutex mutex_;
  std::condition_variable offered_or_closed_;
  bool closed_ = false;
  int askers_ = 0;  // threads inside take_next
  std::optional<Event> offered_;
  std::optional<Event> current_;  // handed out, not yet collected
  Clock::time_point handed_out_;
  bool answered_ = false;  // current_ has its answer
  bool asked_again_ = false;
  Invocation invocation_;
  std::unordered_set<std::string> answered_ids_;
  std::optional<std::string> init_error_;
  std::vector<std::string> problems_;
  size_t problem_count_ = 0;
};

}  // namespace lambda
