// SPDX-License-Identifier: MIT
//
// What the owner of pools keeps; for owner*.cc only.
#pragma once

#include "coproc/owner.h"

namespace prewarm::coproc {

// A client's connection.
struct Owner::Session {
  explicit Session(os::Fd socket, Greeting greeting)
      : service(std::move(socket), std::move(greeting)) {}

  Service service;
  std::map<std::uint32_t, std::uint64_t> jobs;  // by the client's id
  int polled = -1;                              // place in the array of this round's poll
  bool closed = false;
};

// A request on its way.
struct Owner::Job {
  std::uint64_t number = 0;
  Session* session = nullptr;  // null: its client has gone
  std::uint32_t id = 0;        // the client's
  Pool* pool = nullptr;
  Member* member = nullptr;    // null: it waits
  std::uint32_t asked_as = 0;  // the member's id of it
  Invocation invocation;
  Streams streams;  // until a worker has them
  std::string affinity;
  bool signalled = false;
  Clock since = 0;
  Clock deadline = 0;    // 0: none
  std::string given_up;  // why: a reason's name; empty: it is not
  Clock kill_at = 0;     // given up: when patience ends
};

struct Owner::Member {
  enum class State : std::uint8_t {
    starting,  // has not answered `version`
    serving,
    retiring,  // gets no more requests, and ends when it has answered those that it has
    leaving,   // was told that there will be no more, or has closed its side
  };

  Pool* pool = nullptr;
  std::unique_ptr<Worker> worker;
  State state = State::starting;
  Greeting greeting;
  std::map<std::uint32_t, Job*> jobs;  // by its own ids
  std::string affinity;
  std::uint64_t served = 0;
  Clock started = 0;
  Clock used = 0;
  Clock kill_at = 0;          // 0: not yet
  std::uint32_t checked = 0;  // id of the health check that is under way; 0: none
  Clock checked_at = 0;
  bool dismissed = false;    // was told that there will be no more
  bool unread_lost = false;  // it has gone without having read all that it was sent
  bool warned = false;       // was told to end a request for the last time
  bool at_fault = false;     // broke the protocol, or was killed for not answering
  std::string fault;
  int polled = -1;  // first of up to three places in this round's poll
  bool gone = false;
};

struct Owner::Pool {
  StartPlan plan;
  std::deque<Job*> queue;
  std::vector<std::unique_ptr<Member>> members;
  Backoff backoff;
  std::string last_failure;
  // Nobody is there, and for now nobody will come.
  bool is_deserted(Clock now) const { return members.empty() && backoff.until_ns() > now; }
  Clock used = 0;
  unsigned concurrent = 1;  // of its workers, as far as is known
  // For `prewarm pool stats`.
  std::uint64_t requests = 0;
  std::uint64_t started = 0;
  std::uint64_t deaths = 0;
  std::uint64_t given_up = 0;
  std::uint64_t refused = 0;
  std::uint64_t busy_ns = 0;
  std::uint64_t longest_ns = 0;
  std::uint64_t start_ns = 0;
};

}  // namespace prewarm::coproc
