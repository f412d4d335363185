// SPDX-License-Identifier: MIT
//
// What `prewarm pool` asks of the owner: requests `pool-list` and `pool-stop`.
//
// The answer to pool-list has a record for each pool and each worker: a field `pool` or `worker`
// begins one, and the fields after it belong to it.
#include <unistd.h>

#include "coproc/owner_socket.h"
#include "coproc/owner_state.h"
#include "os/clock.h"

namespace prewarm::coproc {
namespace {

constexpr std::uint64_t kNsPerUs = 1000;

}  // namespace

void Owner::take_control(Session& session, const Message& request) {
  if (request.type == "pool-list") {
    session.service.answer_other(list(request.id));
  } else if (request.type == "pool-stop") {
    stop(request.find("program"));
    session.service.answer_other(to_message(Outcome::exited(0), request.id));
  } else {
    session.service.answer_other(to_message(
        Outcome::not_run("unknown-request", "there are no requests of the type " + request.type),
        request.id));
  }
}

Message Owner::list(std::uint32_t id) {
  constexpr const char* kStates[] = {"starting", "serving", "retiring", "leaving"};
  Message answer{"pool-list", id, {}};
  const auto add = [&answer](const char* name, auto value) {
    answer.add(name, std::to_string(value));
  };
  add("owner", ::getpid());
  add("clients", sessions_.size());
  add("served", served_);
  add("most-workers", planner_.limits().workers);
  for (const auto& [key, pool] : pools_) {
    answer.add("pool", pool->plan.program);
    std::string command;
    for (const auto& word : pool->plan.command) command += (command.empty() ? "" : " ") + word;
    answer.add("command", command);
    add("most", pool->plan.declaration.workers);
    add("waiting", pool->queue.size());
    add("requests", pool->requests);
    add("started", pool->started);
    add("deaths", pool->deaths);
    add("given-up", pool->given_up);
    add("refused", pool->refused);
    add("busy-us", pool->busy_ns / kNsPerUs);
    add("longest-us", pool->longest_ns / kNsPerUs);
    add("start-us", pool->start_ns / kNsPerUs);
    if (!pool->last_failure.empty()) answer.add("last-failure", pool->last_failure);
    for (const auto& member : pool->members) {
      add("worker", member->worker->pid());
      answer.add("state", kStates[static_cast<std::size_t>(member->state)]);
      add("working-on", member->jobs.size());
      add("served", member->served);
      add("age-ms", (now_ - member->started) / os::kNsPerMs);
      add("idle-ms", member->jobs.empty() ? (now_ - member->used) / os::kNsPerMs : 0);
      add("resident-kib", member->worker->resident_kib());
      if (!member->affinity.empty()) answer.add("affinity", member->affinity);
    }
  }
  return answer;
}

// Ends the workers of `program`, or all and then the owner. What runs may end first.
void Owner::stop(const std::string* program) {
  if (program == nullptr) {
    stopping_ = true;
    // Who comes from now on starts a new owner, however long what runs here takes.
    socket_.withdraw();
  }
  for (auto& [key, pool] : pools_) {
    if (program != nullptr && pool->plan.program != *program) continue;
    for (auto& member : pool->members) {
      if (member->state == Member::State::starting) {
        member->dismissed = true;
        member->worker->dismiss();
        member->kill_at = now_ + os::kNsPerSecond;
      } else {
        retire(*member);
      }
    }
    if (stopping_) refuse_queue(*pool, "shutting-down", "the pools are being stopped");
  }
}

}  // namespace prewarm::coproc
