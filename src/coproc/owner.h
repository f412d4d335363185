// SPDX-License-Identifier: MIT
//
// The owner of a user's pools: a Capers server to clients, and the parent and driver of workers.
//
// One thread and one loop. A request becomes a Job; its StartPlan's key names a Pool; a Member of
// the pool, which is a worker, serves it. What a worker speaks other than Capers is the matter of
// an adapter, which is the worker then.
//
//   session (client)  --argv-->  Job  -->  Pool.queue  -->  Member (worker)  --status-->  session
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coproc/invocation.h"
#include "coproc/policy.h"
#include "coproc/service.h"
#include "coproc/start_plan.h"
#include "coproc/worker.h"
#include "os/result.h"
#include "os/signal_queue.h"

struct pollfd;

namespace prewarm::coproc {

class OwnerSocket;

class Owner {
 public:
  static constexpr std::size_t kMaxJobs = 4096;       // of all clients together, queued or running
  static constexpr unsigned kMaxJobsOfSession = 256;  // of one client
  static constexpr std::size_t kMaxSessions = 1024;

  // `prewarm`: the command's own file.
  Owner(OwnerSocket& socket, std::string prewarm);
  ~Owner();

  // Serves until nobody has wanted anything for some time, or a signal (SIGTERM, SIGINT, SIGHUP)
  // or a `pool-stop` request ends it.
  os::Result<void> run();

 private:
  using Clock = std::int64_t;  // ns, CLOCK_MONOTONIC
  struct Session;
  struct Member;
  struct Pool;
  struct Job;

  // owner.cc: the loop, clients.
  os::Result<void> catch_signals();
  std::vector<Member*> all_members() const;
  Clock gather(std::vector<pollfd>& polled);
  void accept_sessions();
  void serve_session(Session& session);
  void take_request(Session& session, Service::Request request);
  void take_signal(Session& session, const Service::Signal& signal);
  void close_session(Session& session);
  void finish(Job& job, const Outcome& outcome);
  void read_signals();
  bool is_done();

  // owner_jobs.cc: which worker serves what.
  void dispatch(Pool& pool);
  bool give(Pool& pool, Member& member, Job& job);
  void start_workers(Pool& pool);
  bool start_worker(Pool& pool);
  bool make_room();
  void retire_replaced(const StartPlan& plan);
  void give_up(Job& job, const char* reason);
  void send_signal(Job& job, int number);
  void refuse_queue(Pool& pool, const char* reason, const std::string& message);
  void watch_time();
  void watch_job(Job& job);

  // owner_members.cc: what becomes of workers.
  void serve_member(Member& member, const pollfd& socket, const pollfd& end, const pollfd& errors);
  void receive(Member& member);
  void take_answer(Member& member, const Message& answer);
  void connection_lost(Member& member, const os::Result<void>& why);
  void ended(Member& member);
  void finish_jobs(Member& member, const Outcome& outcome);
  void retire(Member& member);
  void end_if_worn(Member& member);
  void watch_member(Member& member);
  void sweep();

  // owner_control.cc: what `prewarm pool` asks.
  void take_control(Session& session, const Message& request);
  Message list(std::uint32_t id);
  void stop(const std::string* program);

  OwnerSocket& socket_;
  Planner planner_;
  std::optional<os::SignalQueue> signals_;    // from run() on
  std::optional<rlim_t> worker_descriptors_;  // RLIMIT_NOFILE of workers; nothing: as ours
  std::vector<std::unique_ptr<Session>> sessions_;
  std::map<std::string, std::unique_ptr<Pool>> pools_;
  std::map<std::uint64_t, std::unique_ptr<Job>> jobs_;
  std::uint64_t last_job_ = 0;
  Clock now_ = 0;
  Clock quiet_since_ = 0;  // since when there is nothing to do
  bool stopping_ = false;
  std::uint64_t served_ = 0;
};

}  // namespace prewarm::coproc
