// SPDX-License-Identifier: MIT
#include "cli/bench_deps_jobs.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <queue>

#include "measure/machine.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

Command command_of(const std::vector<std::string>& words, const std::string& log) {
  Command command(words.front());
  for (std::size_t i = 1; i < words.size(); ++i) command.arg(words[i]);
  command.in(Stdio::null()).out(Stdio::append(log)).err(Stdio::output()).kill_on_drop();
  return command;
}

os::Result<void> check(const os::Result<Exit>& ended, const std::string& program) {
  if (!ended) return std::unexpected(ended.error());
  if (ended->success()) return {};
  return os::failed_with(0, "run", program + ": it " + ended->status.message());
}

class Scheduler {
 public:
  Scheduler(const DepsClosure& closure, std::size_t at_once)
      : at_once_(at_once), missing_(closure.shape().libs), wanted_by_(closure.shape().libs) {
    for (unsigned i = 0; i < closure.shape().libs; ++i) {
      missing_[i] = static_cast<unsigned>(closure.needs(i).size());
      for (const unsigned other : closure.needs(i)) wanted_by_[other].push_back(i);
      if (missing_[i] == 0) ready_.push(i);
    }
  }

  bool may_start() const { return !ready_.empty() && running_.size() < at_once_; }
  bool any_running() const { return !running_.empty(); }
  unsigned next() {
    const unsigned index = ready_.top();
    ready_.pop();
    return index;
  }
  void started(unsigned index, Process process) { running_.push_back({index, std::move(process)}); }
  os::Result<void> take_one();

 private:
  struct Job {
    unsigned index;
    Process process;
  };

  std::size_t at_once_;
  std::vector<unsigned> missing_;  // of what it needs, how many aren't done
  std::vector<std::vector<unsigned>> wanted_by_;
  std::priority_queue<unsigned, std::vector<unsigned>, std::greater<>> ready_;
  std::vector<Job> running_;
};

// Waits until one has ended.
os::Result<void> Scheduler::take_one() {
  std::vector<pollfd> watched;
  for (const Job& job : running_) watched.push_back({job.process.pidfd(), POLLIN, 0});
  while (::poll(watched.data(), watched.size(), -1) < 0) {
    if (errno != EINTR) return os::failed("wait for a program");
  }
  const auto ended = std::ranges::find_if(watched, [](const pollfd& p) { return p.revents != 0; });
  const auto job = running_.begin() + (ended - watched.begin());
  if (auto good = check(job->process.wait(), "the linker"); !good) return good;
  for (const unsigned other : wanted_by_[job->index]) {
    if (--missing_[other] == 0) ready_.push(other);
  }
  running_.erase(job);
  return {};
}

}  // namespace

os::Result<void> run_logged(const std::vector<std::string>& words, const std::string& log) {
  return check(command_of(words, log).run(), words.front());
}

os::Result<void> run_in_order(const DepsClosure& closure,
                              const std::function<std::vector<std::string>(unsigned)>& words,
                              const std::string& log, const std::function<void(unsigned)>& done) {
  Scheduler scheduler(closure, std::max(1U, measure::look_at_machine().processors));
  unsigned count = 0;
  while (count < closure.shape().libs) {
    while (scheduler.may_start()) {
      const unsigned index = scheduler.next();
      auto process = command_of(words(index), log).spawn();
      if (!process) return std::unexpected(process.error());
      scheduler.started(index, std::move(*process));
    }
    if (auto taken = scheduler.take_one(); !taken) return taken;
    done(++count);
  }
  return {};
}

}  // namespace prewarm::cli
