// SPDX-License-Identifier: MIT
//
// For tests only: one chain, run to its end, and what a program that it started has said.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/testing.h"
#include "prewarm/spawn.h"

namespace prewarm::cold {

struct Kind {
  Backend backend;
  bool own_task;
};

inline std::string name_of(const ::testing::TestParamInfo<Kind>& info) {
  return std::string(backend_name(info.param.backend)) + (info.param.own_task ? "_own_task" : "");
}

// Every backend that runs the executor.
inline auto executor_kinds() {
  return ::testing::Values(Kind{Backend::shared_memory, true}, Kind{Backend::shared_memory, false},
                           Kind{Backend::vfork, true}, Kind{Backend::vfork, false},
                           Kind{Backend::fork, true}, Kind{Backend::fork, false});
}

// All completions that are outstanding; fewer if they don't come.
inline std::vector<Completion> take_all(SpawnRing& ring) {
  std::vector<Completion> all;
  while (ring.outstanding() != 0) {
    Completion some[16];
    const auto count = ring.wait(some, os::kBoundMs);
    if (!count || *count == 0) break;
    for (unsigned i = 0; i < *count; ++i) all.push_back(std::move(some[i]));
  }
  return all;
}

struct Outcome {
  std::vector<int> results;  // in the order of the chain
  std::string output;        // of the program
  int status = -1;           // wait status; -1: there was no process
};

// Runs each test with a backend.
class RingTest : public os::LeavesNothing, public ::testing::WithParamInterface<Kind> {
 protected:
  void SetUp() override { ring_.emplace(make()); }
  void TearDown() override { ring_.reset(); }

  static SpawnRing make(RingOptions options = {}) {
    options.backend = GetParam().backend;
    options.own_task = GetParam().own_task;
    auto ring = SpawnRing::create(options);
    if (!ring) {
      ADD_FAILURE() << ring.error().message();
      std::abort();
    }
    return std::move(*ring);
  }
  SpawnRing& ring() { return *ring_; }
  // For a forked child, where the one that was there is dead.
  void renew() { ring_.emplace(make()); }

  // A clone, then `row`; its output is what the program writes to descriptor 1.
  Outcome run(std::vector<Operation> row, const CloneOptions& options = {}) {
    os::Pipe pipe = os::make_pipe();
    std::vector<Operation> chain = {op::clone(options), op::dup(pipe.write.get(), 1)};
    chain.insert(chain.end(), row.begin(), row.end());
    for (std::size_t i = 0; i < chain.size(); ++i) {
      chain[i].user_data = i;
      chain[i].linked = i + 1 < chain.size();
    }
    Outcome outcome;
    for (const Operation& o : chain) EXPECT_TRUE(ring().push(o));
    EXPECT_TRUE(ring().submit());
    outcome.results.assign(chain.size(), 1);
    for (const Completion& c : take_all(ring())) outcome.results.at(c.user_data) = c.result;
    pipe.write.reset();
    outcome.output = os::read_all(pipe.read.get());
    if (outcome.results[0] > 0) outcome.status = os::wait_for(outcome.results[0]);
    return outcome;
  }
  // The same with a program at the end; its output, if all operations succeeded.
  std::string program(std::vector<Operation> row, std::vector<std::string> words,
                      const CloneOptions& options = {}) {
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    row.push_back(op::exec(argv[0], argv.data(), environ));
    Outcome outcome = run(row, options);
    for (std::size_t i = 1; i < outcome.results.size(); ++i) {
      if (outcome.results[i] != 0) {
        return "operation " + std::to_string(i) + ": " + std::to_string(outcome.results[i]);
      }
    }
    return outcome.output;
  }
  std::string shell(std::vector<Operation> row, const std::string& script,
                    const CloneOptions& options = {}) {
    return program(std::move(row), {"/bin/sh", "-c", script}, options);
  }

  // What `function` returns in a forked child, where a ring of the same kind is ring().
  template <class Function>
  std::string in_child(Function function) {
    os::Pipe pipe = os::make_pipe();
    os::Child child([&] {
      renew();
      const std::string text = function();
      const ssize_t written = ::write(pipe.write.get(), text.data(), text.size());
      return written != static_cast<ssize_t>(text.size()) || HasFailure() ? 1 : 0;
    });
    const int status = child.wait();
    pipe.write.reset();
    return os::read_all(pipe.read.get()) +
           (status == 0 ? "" : " (status " + std::to_string(status) + ")");
  }

 private:
  std::optional<SpawnRing> ring_;
};

}  // namespace prewarm::cold
