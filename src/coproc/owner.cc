// SPDX-License-Identifier: MIT
#include "coproc/owner.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "coproc/owner_socket.h"
#include "coproc/owner_state.h"
#include "os/clock.h"
#include "prewarm_config.h"

namespace prewarm::coproc {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
// How often health, ages and sizes are looked at, at least, while there are workers.
constexpr std::int64_t kLookNs = os::kNsPerSecond;

Greeting own_greeting() {
  return {.implementation = std::string("prewarm/") + PREWARM_VERSION,
          .concurrent = Owner::kMaxJobsOfSession,
          .takes_signals = true,
          .fresh = false};
}

int poll_timeout(std::int64_t until, std::int64_t now) {
  if (until == kNever) return -1;
  const std::int64_t ms = (until - now + os::kNsPerMs - 1) / os::kNsPerMs;
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 60'000));
}

}  // namespace

Owner::Owner(OwnerSocket& socket, std::string prewarm)
    : socket_(socket), planner_(std::move(prewarm)) {}

Owner::~Owner() {
  for (auto& [key, pool] : pools_) {
    for (auto& member : pool->members) member->worker->kill(SIGKILL);
  }
}

os::Result<void> Owner::catch_signals() {
  signals_.emplace(os::signal_set({SIGTERM, SIGINT, SIGHUP}));
  if (!signals_->valid()) return os::failed("watch signals");
  // Each queued request holds three descriptors.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    const rlim_t given = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // Ours alone: programs take a large limit for a promise, and close or select(2) up to it.
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) worker_descriptors_ = given;
  }
  return {};
}

os::Result<void> Owner::run() {
  if (auto caught = catch_signals(); !caught) return caught;
  now_ = quiet_since_ = os::now_ns();
  std::vector<pollfd> polled;
  while (!is_done()) {
    // Wait for something to happen.
    const Clock until = gather(polled);
    const int ready = ::poll(polled.data(), polled.size(), poll_timeout(until, now_));
    if (ready < 0 && errno != EINTR) return os::failed("wait for requests");
    now_ = os::now_ns();

    // Workers first: what they have done makes room for what clients want.
    if (ready > 0) {
      if (polled[0].revents != 0) read_signals();
      const auto at = [&polled](int place) { return &polled[static_cast<std::size_t>(place)]; };
      for (Member* m : all_members()) {  // one that has ended is gone after its turn
        serve_member(*m, *at(m->polled), *at(m->polled + 1), *at(m->polled + 2));
      }
      for (auto& session : sessions_) {
        if (session->polled >= 0 && at(session->polled)->revents != 0) serve_session(*session);
      }
      if (polled[1].revents != 0) accept_sessions();
    }

    // Then what is due, and who gets what.
    watch_time();
    for (auto& [key, pool] : pools_) dispatch(*pool);
    sweep();
  }
  return {};
}

std::vector<Owner::Member*> Owner::all_members() const {
  std::vector<Member*> all;
  for (const auto& [key, pool] : pools_) {
    for (const auto& member : pool->members) all.push_back(member.get());
  }
  return all;
}

// What is waited for, and until when at most. Places 0 and 1 are the signals' and the listener's.
Owner::Clock Owner::gather(std::vector<pollfd>& polled) {
  polled.clear();
  polled.push_back({signals_->fd(), POLLIN, 0});
  polled.push_back({sessions_.size() < kMaxSessions ? socket_.fd() : -1, POLLIN, 0});
  const auto members = all_members();
  for (Member* member : members) {
    Worker& worker = *member->worker;
    const short writes = worker.client().wants_to_write() ? POLLOUT : 0;
    member->polled = static_cast<int>(polled.size());
    polled.push_back(
        {member->gone ? -1 : worker.client().fd(), static_cast<short>(POLLIN | writes), 0});
    polled.push_back({worker.pidfd(), POLLIN, 0});
    polled.push_back({worker.errors_fd(), POLLIN, 0});
  }
  for (auto& session : sessions_) {
    session->polled = static_cast<int>(polled.size());
    const short writes = session->service.wants_to_write() ? POLLOUT : 0;
    polled.push_back({session->service.fd(), static_cast<short>(POLLIN | writes), 0});
  }
  if (members.empty() && sessions_.empty()) {
    return quiet_since_ + static_cast<Clock>(planner_.limits().idle_seconds) * os::kNsPerSecond;
  }
  Clock until = members.empty() ? kNever : now_ + kLookNs;
  for (const auto& [number, job] : jobs_) {
    if (!job->given_up.empty()) {
      until = std::min(until, job->kill_at);
    } else if (job->deadline != 0) {
      until = std::min(until, job->deadline);
    }
  }
  return until;
}

void Owner::read_signals() {
  while (signals_->next()) {
    stop(nullptr);
    for (auto& [number, job] : jobs_) give_up(*job, "shutting-down");
  }
}

void Owner::accept_sessions() {
  while (sessions_.size() < kMaxSessions) {
    auto socket = socket_.accept();
    if (!socket) return;
    auto session = std::make_unique<Session>(std::move(*socket), own_greeting());
    session->service.want_other_requests();
    sessions_.push_back(std::move(session));
  }
}

void Owner::serve_session(Session& session) {
  const auto state = session.service.receive();
  if (state == Service::State::open) session.service.flush();
  while (auto request = session.service.next_request()) take_request(session, std::move(*request));
  while (auto signal = session.service.next_signal()) take_signal(session, *signal);
  while (auto other = session.service.next_other()) take_control(session, *other);
  if (state != Service::State::open) close_session(session);
}

void Owner::take_request(Session& session, Service::Request request) {
  const auto refuse = [&](const Outcome& outcome) { session.service.answer(request.id, outcome); };
  if (stopping_) return refuse(Outcome::not_run("shutting-down", "the pools are being stopped"));
  if (jobs_.size() >= kMaxJobs)
    return refuse(Outcome::not_run("queue-full", "too many requests wait"));
  auto plan = planner_.plan(request.invocation);
  if (!plan) return refuse(plan.error());
  auto& pool = pools_[plan->key];
  if (pool == nullptr) {
    pool = std::make_unique<Pool>();
    pool->plan = *plan;
    retire_replaced(*plan);
  }
  if (pool->is_deserted(now_)) {
    ++pool->refused;
    return refuse(Outcome::not_run(
        "backoff", "workers of " + plan->program + " keep dying: " + pool->last_failure));
  }
  pool->plan.declaration = plan->declaration;  // its limits may have changed
  auto job = std::make_unique<Job>();
  job->number = ++last_job_;
  job->session = &session;
  job->id = request.id;
  job->pool = pool.get();
  job->affinity = plan->affinity;
  job->since = now_;
  auto timeout = request.invocation.timeout;
  if (!timeout && plan->declaration.timeout_seconds > 0) {
    timeout = std::chrono::seconds(plan->declaration.timeout_seconds);
  }
  if (timeout) job->deadline = now_ + timeout->count() * os::kNsPerMs;
  job->invocation = std::move(request.invocation);
  job->streams = std::move(request.streams);
  ++pool->requests;
  pool->used = now_;
  pool->queue.push_back(job.get());
  session.jobs.emplace(request.id, job->number);
  const auto number = job->number;
  jobs_.emplace(number, std::move(job));
  dispatch(*pool);
}

void Owner::take_signal(Session& session, const Service::Signal& signal) {
  const auto found = session.jobs.find(signal.request);
  if (found == session.jobs.end()) return;
  send_signal(*jobs_.at(found->second), signal.number);
}

// What was asked through it is not wanted any more.
void Owner::close_session(Session& session) {
  session.closed = true;
  const auto jobs = std::exchange(session.jobs, {});
  for (const auto& [id, number] : jobs) {
    Job& job = *jobs_.at(number);
    job.session = nullptr;  // also of one that was given up before
    give_up(job, "client-gone");
  }
}

// The end of a job. It is gone afterwards.
void Owner::finish(Job& job, const Outcome& outcome) {
  Pool& pool = *job.pool;
  std::erase(pool.queue, &job);
  if (job.member != nullptr) {
    job.member->jobs.erase(job.asked_as);
    const Clock took = now_ - job.since;
    pool.busy_ns += static_cast<std::uint64_t>(took);
    pool.longest_ns = std::max(pool.longest_ns, static_cast<std::uint64_t>(took));
  }
  if (job.session != nullptr) {
    job.session->jobs.erase(job.id);
    job.session->service.answer(job.id, outcome);
  }
  ++served_;
  jobs_.erase(job.number);
}

bool Owner::is_done() {
  // A client that only is there doesn't hold up an end that was asked for, but for its answers.
  const bool heard = std::any_of(sessions_.begin(), sessions_.end(), [this](const auto& session) {
    return !stopping_ || session->service.wants_to_write();
  });
  const bool busy = heard || !jobs_.empty() || !pools_.empty();
  if (busy) quiet_since_ = now_;
  const Clock patience =
      stopping_ ? 0 : static_cast<Clock>(planner_.limits().idle_seconds) * os::kNsPerSecond;
  if (busy || now_ - quiet_since_ < patience) return false;
  socket_.withdraw();
  if (stopping_) return true;
  // Whoever connected before that is still served.
  accept_sessions();
  return sessions_.empty();
}

}  // namespace prewarm::coproc
