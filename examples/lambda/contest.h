// SPDX-License-Identifier: MIT
//
// Several runtimes, each a child process with an API server of its own in this
// process, that take turns: one works on an event, the others wait for theirs.
//
// The thread that calls run() and finish() drives everything and does all the
// waiting; the servers' threads only speak HTTP.

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "child.h"
#include "report.h"
#include "result.h"
#include "server.h"

namespace lambda {

struct RuntimeSpec {
  std::string name;
  std::vector<std::string> argv;
};

struct ContestOptions {
  std::vector<RuntimeSpec> runtimes;
  int count = 200;  // events for each runtime that are measured
  int warmup = 10;  // events for each before these, checked but not measured
  std::chrono::seconds answer_limit{60};
};

class Contest {
 public:
  // `stop` must outlive the contest.
  Contest(ContestOptions options, const StopSignals& stop);
  // Ends whatever still runs and removes all temporary files.
  ~Contest();

  // In this order, each once. A failure of one (a runtime that hangs or ends,
  // or a stop signal) leaves nothing to do but to destroy the contest. Wrong
  // answers are no failure: see problems().
  Result<void> start();
  Result<void> run();
  Result<void> finish();

  std::vector<Outcome> outcomes() const;
  std::vector<std::string> problems() const;
  // The signal that ended the contest early; 0 if none.
  int stop_signal() const { return stop_signal_; }

 private:
  struct Contender {
    std::string name;
    std::filesystem::path temp_dir;  // its TMPDIR
    uint64_t salt = 0;
    std::unique_ptr<Server> server;
    Child child;  // ended before its server, which waits for its connections
    Outcome outcome;

    Exchange& exchange() const { return server->exchange(); }
  };

  Result<void> make_temp_dir();
  Result<void> start_server(const RuntimeSpec& spec);
  Result<void> start_runtime(Contender& contender, const std::vector<std::string>& argv);
  Result<void> take_turn(Contender& contender, int number);
  Result<void> await_end(Contender& contender);
  void check_leftovers(const Contender& contender);

  // Waits until done() says so. Looks again whenever `contender` makes a
  // change; fails if any runtime ends meanwhile, on a stop signal, or when the
  // time is over, with `awaited` as what it waited for.
  template <class Done>
  Result<void> wait_for(Contender& contender, std::string_view awaited, Done done);
  Result<void> poll_once(Contender& contender, std::string_view awaited,
                         std::chrono::steady_clock::time_point deadline);
  std::unexpected<Error> stopped();  // by a signal that is to be read
  std::unexpected<Error> runtime_failure(Contender& contender, std::string reason);

  const ContestOptions options_;
  const StopSignals& stop_;
  int stop_signal_ = 0;
  std::filesystem::path temp_dir_;
  std::vector<std::unique_ptr<Contender>> contenders_;
  std::vector<std::string> late_problems_;  // found by finish()
};

}  // namespace lambda
