// SPDX-License-Identifier: MIT
//
// What becomes of workers: their answers, their ends, their ages.
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>

#include "coproc/owner_state.h"
#include "os/clock.h"

namespace prewarm::coproc {
namespace {

// From the end of its connection, or the end of its work, to the end of its process.
constexpr std::int64_t kLeaveNs = 5 * os::kNsPerSecond;
// A worker that has done nothing for that long is asked whether it still can,
constexpr std::int64_t kCheckEveryNs = 30 * os::kNsPerSecond;
// and has so long to say so.
constexpr std::int64_t kCheckNs = 5 * os::kNsPerSecond;

std::string quoted_words(const Worker& worker) {
  if (worker.last_words().empty()) return {};
  return "; it said: " + worker.last_words();
}

// Its fault, if it had one: then it was us who killed it. Else how it ended.
std::string what_became_of(const std::string& fault, bool was_ready, const ExitStatus& status) {
  if (!fault.empty()) return fault;
  return (status.signal() ? "it was " : "it ") + status.message() +
         (was_ready ? "" : " before it was ready");
}

}  // namespace

void Owner::serve_member(Member& member, const pollfd& socket, const pollfd& end,
                         const pollfd& errors) {
  if (errors.revents != 0) member.worker->read_errors();
  if (socket.revents != 0) {
    if ((socket.revents & POLLOUT) != 0) {
      if (const auto flushed = member.worker->client().flush(); !flushed) {
        connection_lost(member, flushed);
      }
    }
    receive(member);
  }
  // After its last answers.
  if (end.revents != 0) ended(member);
}

void Owner::receive(Member& member) {
  while (!member.gone) {
    auto answer = member.worker->client().receive(false);
    if (!answer) return connection_lost(member, std::unexpected(answer.error()));
    if (!*answer) return;
    take_answer(member, **answer);
  }
}

void Owner::take_answer(Member& member, const Message& answer) {
  Pool& pool = *member.pool;
  if (member.state == Member::State::starting) {
    auto greeting = greeting_of(answer);
    if (!greeting) {
      return connection_lost(member, os::failed_with(EPROTO, "greet", greeting.error()));
    }
    member.greeting = std::move(*greeting);
    member.state = Member::State::serving;
    member.used = now_;
    pool.concurrent = member.greeting.concurrent;
    pool.start_ns += static_cast<std::uint64_t>(now_ - member.started);
    return;
  }
  if (answer.id == member.checked) {
    member.checked = 0;
    member.used = now_;
    return;
  }
  const auto found = member.jobs.find(answer.id);
  auto outcome = outcome_of(answer);
  if (!outcome || found == member.jobs.end()) {
    const std::string what = outcome ? "an answer to nothing" : outcome.error();
    return connection_lost(member, os::failed_with(EPROTO, "read an answer", what));
  }
  Job& job = *found->second;
  if (outcome->was_run()) {
    ++member.served;
    pool.backoff.served();
  }
  if (job.given_up == "deadline") {
    outcome = Outcome{.kind = Outcome::Kind::exited,
                      .value = kDeadlineStatus,
                      .reason = "deadline",
                      .message = "its time was over"};
  }
  const bool wants_to_go = outcome->retire;
  outcome->retire = false;  // that was for us
  member.used = pool.used = now_;
  member.warned = false;
  finish(job, *outcome);
  if (wants_to_go) return retire(member);
  end_if_worn(member);
}

// Nothing more is to be had from it but its end.
void Owner::connection_lost(Member& member, const os::Result<void>& why) {
  if (member.gone) return;
  member.gone = true;
  const int code = why.error().code;
  // What was not even sent to its end can't have been read.
  member.unread_lost = code == ECONNRESET || member.worker->client().wants_to_write();
  if (code == EPROTO) {
    member.at_fault = true;
    member.fault = why.error().subject;
    member.worker->kill(SIGKILL);
  }
  if (member.state != Member::State::starting) member.state = Member::State::leaving;
  member.kill_at = now_ + kLeaveNs;
}

void Owner::ended(Member& member) {
  // What it sent before its end is still there to be read.
  if (!member.gone) receive(member);
  auto exit = member.worker->process().wait_for(std::chrono::milliseconds(0));
  if (exit && !*exit) return;
  while (member.worker->errors_fd() >= 0) {
    pollfd p{member.worker->errors_fd(), POLLIN, 0};
    if (::poll(&p, 1, 0) <= 0) break;
    member.worker->read_errors();
  }
  Pool& pool = *member.pool;
  // Who can't tell any more how it ended tells the most careful thing.
  const ExitStatus status = exit ? (*exit)->status : ExitStatus(SIGKILL);
  const bool was_signalled = std::any_of(member.jobs.begin(), member.jobs.end(),
                                         [](const auto& job) { return job.second->signalled; });
  const bool was_idle = member.jobs.empty() && member.state == Member::State::leaving;
  // Whoever goes unasked without having done anything would go so each time.
  const bool useless = member.state == Member::State::starting || member.unread_lost ||
                       (member.served == 0 && member.jobs.empty());
  const bool died = member.at_fault || (useless && !member.dismissed) ||
                    (status.signal() && !was_signalled && !was_idle);
  if (!died && !member.jobs.empty()) pool.backoff.served();
  if (died) {
    ++pool.deaths;
    pool.backoff.died(now_);
    pool.last_failure =
        what_became_of(member.fault, member.state != Member::State::starting, status) +
        quoted_words(*member.worker);
  }
  Outcome outcome = Outcome::of_wait_status(status.wait_status());
  outcome.reason = "worker-exited";
  if (!member.fault.empty()) {
    outcome = {.kind = Outcome::Kind::exited,
               .value = kFailedStatus,
               .reason = "protocol",
               .message = "its worker broke the protocol: " + member.fault};
  }
  finish_jobs(member, outcome);
  const bool never_served = member.state == Member::State::starting;
  std::erase_if(pool.members, [&member](const auto& m) { return m.get() == &member; });
  if (never_served && pool.members.empty()) refuse_queue(pool, "start", pool.last_failure);
}

void Owner::finish_jobs(Member& member, const Outcome& outcome) {
  const auto jobs = member.jobs;
  for (const auto& [id, job] : jobs) {
    // One request, of which the kernel says that it was not read whole: nothing of it was done.
    const bool unseen = member.unread_lost && jobs.size() == 1 && !job->signalled;
    if (unseen && job->given_up.empty()) {
      finish(*job, Outcome::not_run("refused", "its worker ended before it read the request"));
    } else if (job->given_up == "deadline") {
      finish(*job, {.kind = Outcome::Kind::exited,
                    .value = kDeadlineStatus,
                    .reason = "deadline",
                    .message = "its time was over"});
    } else {
      finish(*job, outcome);
    }
  }
}

// No more requests for it; it ends when it has answered those that it has.
void Owner::retire(Member& member) {
  if (member.state == Member::State::leaving) return;
  member.state = Member::State::retiring;
  if (!member.jobs.empty()) return;
  member.state = Member::State::leaving;
  member.kill_at = now_ + kLeaveNs;
  member.dismissed = true;
  member.worker->dismiss();
}

void Owner::end_if_worn(Member& member) {
  const auto& declaration = member.pool->plan.declaration;
  const bool old = declaration.max_requests > 0 && member.served >= declaration.max_requests;
  const bool large = declaration.max_mib > 0 &&
                     member.worker->resident_kib() > std::uint64_t{declaration.max_mib} * 1024;
  if (old || large || member.state == Member::State::retiring) retire(member);
}

void Owner::watch_member(Member& member) {
  const auto& declaration = member.pool->plan.declaration;
  if (member.kill_at != 0) {
    if (now_ < member.kill_at) return;
    if (!member.jobs.empty() && member.fault.empty()) {
      member.fault = "it closed its connection and did not end";
      member.at_fault = true;
    }
    member.worker->kill(SIGKILL);
    return;
  }
  const auto seconds = [](unsigned s) { return static_cast<Clock>(s) * os::kNsPerSecond; };
  if (member.state == Member::State::starting) {
    if (now_ - member.started >= seconds(declaration.start_seconds)) {
      member.fault = "it did not answer within its time to start";
      member.at_fault = true;
      member.worker->kill(SIGKILL);
      member.kill_at = now_ + kLeaveNs;
    }
    return;
  }
  if (member.checked != 0) {
    if (now_ - member.checked_at >= kCheckNs) {
      member.fault = "it did not answer when it was idle";
      member.at_fault = true;
      member.worker->kill(SIGKILL);
      member.kill_at = now_ + kLeaveNs;
    }
    return;
  }
  if (!member.jobs.empty() || member.state != Member::State::serving) return;
  if (!member.pool->queue.empty()) return;  // it is about to be needed
  const auto idle = now_ - member.used;
  if (idle >= seconds(declaration.idle_seconds)) {
    retire(member);
  } else if (idle >= kCheckEveryNs && now_ - member.checked_at >= kCheckEveryNs) {
    if (const auto id = member.worker->client().send(Message{"echo", 0, {}}, false)) {
      member.checked = *id;
      member.checked_at = now_;
    }
  }
}

// Drops sessions that are closed, and pools that have nothing left.
void Owner::sweep() {
  std::erase_if(sessions_, [](const auto& s) { return s->closed; });
  std::erase_if(pools_, [this](const auto& entry) {
    const Pool& pool = *entry.second;
    const Clock until =
        std::max(pool.backoff.until_ns(),
                 pool.used + static_cast<Clock>(planner_.limits().idle_seconds) * os::kNsPerSecond);
    return pool.members.empty() && pool.queue.empty() && (stopping_ || now_ > until);
  });
}

}  // namespace prewarm::coproc
