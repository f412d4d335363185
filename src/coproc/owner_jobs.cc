// SPDX-License-Identifier: MIT
//
// Which worker serves which request, and requests that are given up.
#include <errno.h>
#include <signal.h>

#include <algorithm>

#include "coproc/owner_state.h"
#include "os/clock.h"

namespace prewarm::coproc {
namespace {

// What a worker has, when its request is given up, to end it in its own way.
constexpr std::int64_t kGraceNs = 2 * os::kNsPerSecond;

}  // namespace

// Gives what waits to workers that have room, and starts more if that isn't enough.
void Owner::dispatch(Pool& pool) {
  while (!pool.queue.empty()) {
    std::vector<Candidate> candidates;
    for (const auto& m : pool.members) {
      const auto load = static_cast<unsigned>(m->jobs.size());
      const unsigned room = m->greeting.concurrent > load ? m->greeting.concurrent - load : 0;
      const bool serves = m->state == Member::State::serving && m->checked == 0 &&
                          !m->worker->client().wants_to_write();
      candidates.push_back({serves, room, load, m->affinity, m->used});
    }
    Job& job = *pool.queue.front();
    const auto chosen = choose_worker(candidates, job.affinity);
    if (!chosen) break;
    if (!give(pool, *pool.members[*chosen], job)) break;
  }
  if (!pool.queue.empty() || pool.plan.declaration.spare > 0) start_workers(pool);
}

// False: the worker turned out to be unable; the job waits on, or is answered.
bool Owner::give(Pool& pool, Member& member, Job& job) {
  const std::array<int, 3> streams{job.streams[0].get(), job.streams[1].get(),
                                   job.streams[2].get()};
  const auto id = member.worker->client().send(job.invocation, streams, false);
  if (!id) {
    if (id.error().code == E2BIG) {
      finish(job, Outcome::not_run("refused", "the request is too large"));
      return true;
    }
    if (id.error().code == EAGAIN) return false;  // it reads slowly
    if (id.error().code == ETOOMANYREFS) {
      finish(job, Outcome::not_run("refused", "too many descriptors are on their way"));
      return true;
    }
    connection_lost(member, std::unexpected(id.error()));
    return false;
  }
  std::erase(pool.queue, &job);
  job.member = &member;
  job.asked_as = *id;
  member.jobs.emplace(*id, &job);
  member.affinity = job.affinity;
  member.used = pool.used = now_;
  // They went with the first byte. Kept here they would keep a pipe open that the tool may close.
  job.streams = {};
  return true;
}

void Owner::start_workers(Pool& pool) {
  if (stopping_) return;
  if (pool.is_deserted(now_)) return refuse_queue(pool, "start", pool.last_failure);
  if (pool.backoff.until_ns() > now_) return;  // who is there may serve what waits
  std::size_t capacity = 0;
  std::size_t ready = 0;
  std::size_t living = 0;
  for (const auto& m : pool.members) {
    if (m->state == Member::State::starting) capacity += pool.concurrent;
    if (m->state == Member::State::starting ||
        (m->state == Member::State::serving && m->jobs.empty())) {
      ++ready;
    }
    if (m->state != Member::State::leaving) ++living;
  }
  const auto& declaration = pool.plan.declaration;
  unsigned count =
      workers_to_start(pool.queue.size(), capacity, pool.concurrent, living, declaration.workers);
  const bool in_use =
      now_ - pool.used < static_cast<Clock>(declaration.idle_seconds) * os::kNsPerSecond;
  if (in_use && pool.queue.empty() && ready < declaration.spare && living < declaration.workers) {
    count = 1;
  }
  for (; count > 0; --count) {
    if (!make_room() || !start_worker(pool)) break;
  }
}

bool Owner::start_worker(Pool& pool) {
  auto worker = Worker::start(pool.plan.command, pool.plan.environment, pool.plan.directory,
                              worker_descriptors_);
  if (worker) {
    auto member = std::make_unique<Member>();
    member->pool = &pool;
    member->worker = std::move(*worker);
    member->started = member->used = now_;
    ++pool.started;
    if (member->worker->client().send(version_request(0), false)) {
      pool.members.push_back(std::move(member));
      return true;
    }
    member->worker->kill(SIGKILL);
  } else {
    pool.last_failure = worker.error().message();
  }
  ++pool.deaths;
  pool.backoff.died(now_);
  if (pool.members.empty()) refuse_queue(pool, "start", pool.last_failure);
  return false;
}

// Whether one more worker can be had, if need be in place of one that nobody needs: the one that
// was not used for the longest time.
bool Owner::make_room() {
  std::size_t living = 0;
  Member* oldest = nullptr;
  for (auto& [key, pool] : pools_) {
    for (auto& member : pool->members) {
      ++living;
      const bool idle =
          member->state == Member::State::serving && member->jobs.empty() && pool->queue.empty();
      if (idle && (oldest == nullptr || member->used < oldest->used)) oldest = member.get();
    }
  }
  if (living < planner_.limits().workers) return true;
  if (oldest == nullptr) return false;
  retire(*oldest);
  return true;
}

// Nobody asks any more for workers of a file that `plan` has found replaced.
void Owner::retire_replaced(const StartPlan& plan) {
  for (auto& [key, pool] : pools_) {
    if (pool->plan.program != plan.program || pool->plan.files == plan.files) continue;
    for (auto& member : pool->members) {
      if (member->state == Member::State::serving && pool->queue.empty()) retire(*member);
    }
  }
}

void Owner::refuse_queue(Pool& pool, const char* reason, const std::string& message) {
  const auto queue = pool.queue;
  for (Job* job : queue) {
    ++pool.refused;
    finish(*job, Outcome::not_run(
                     reason, "no worker of " + pool.plan.program + " can be started: " + message));
  }
}

void Owner::send_signal(Job& job, int number) {
  if (job.member == nullptr) {
    // It would have met a process that has not come to its main.
    const bool fatal = number != SIGCONT && number != SIGWINCH && number != SIGCHLD &&
                       number != SIGURG && number != SIGTSTP && number != SIGSTOP &&
                       number != SIGTTIN && number != SIGTTOU;
    if (fatal) {
      finish(job, {.kind = Outcome::Kind::killed, .value = number, .reason = "cancelled"});
    }
    return;
  }
  job.signalled = true;
  Member& member = *job.member;
  if (member.greeting.takes_signals) {
    const auto sent = member.worker->client().signal(job.asked_as, number);
    if (!sent) connection_lost(member, sent);
  } else {
    member.worker->kill(number);
  }
}

// Nobody wants it any more, or its time is over. What runs is asked to end, and has some time.
void Owner::give_up(Job& job, const char* reason) {
  if (!job.given_up.empty()) return;
  ++job.pool->given_up;
  job.given_up = reason;
  job.kill_at = now_ + kGraceNs;
  if (job.member == nullptr) {
    const bool late = job.deadline != 0 && now_ >= job.deadline;
    return finish(job, late ? Outcome{.kind = Outcome::Kind::exited,
                                      .value = kDeadlineStatus,
                                      .reason = "deadline",
                                      .message = "its time was over before a worker was free"}
                            : Outcome::not_run(reason, "it was given up before it ran"));
  }
  send_signal(job, SIGTERM);
}

void Owner::watch_time() {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, job] : jobs_) numbers.push_back(number);
  for (const auto number : numbers) {
    const auto job = jobs_.find(number);
    if (job != jobs_.end()) watch_job(*job->second);
  }
  for (auto& [key, pool] : pools_) {
    for (auto& member : pool->members) watch_member(*member);
  }
}

void Owner::watch_job(Job& job) {
  if (job.given_up.empty() && job.deadline != 0 && now_ >= job.deadline) {
    give_up(job, "deadline");
  } else if (!job.given_up.empty() && now_ >= job.kill_at) {
    Member& member = *job.member;
    job.kill_at = now_ + kGraceNs;
    if (member.greeting.takes_signals && !member.warned) {
      // The worker itself may be needed by others. If it doesn't answer even so, it is at fault.
      member.warned = true;
      return send_signal(job, SIGKILL);
    }
    member.worker->kill(SIGKILL);
  }
}

}  // namespace prewarm::coproc
