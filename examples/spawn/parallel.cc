// SPDX-License-Identifier: MIT
//
// parallel JOBS COMMAND [ARGUMENT...]: runs the command once for each line of standard input, with
// the line as its last argument, at most JOBS at a time. Exits with the number of failures.
//
// One thread and one poll(2) for everything: the ring's descriptor says that programs have been
// started (or not), a pidfd that one has ended. The loop is never held up by a start.
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "prewarm/process.h"
#include "prewarm/spawn.h"

namespace op = prewarm::op;

namespace {

struct Jobs {
  explicit Jobs(prewarm::SpawnRing& its_ring) : ring(its_ring) {}

  prewarm::SpawnRing& ring;
  std::vector<prewarm::Process> running;
  std::size_t starting = 0;
  int failures = 0;
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> row;
  row.reserve(strings.size() + 1);
  for (std::string& s : strings) row.push_back(s.data());
  row.push_back(nullptr);
  return row;
}

// A chain per job; none of it needs to outlive submit(), which copies.
bool start(Jobs& jobs, std::vector<std::string> command) {
  std::vector<char*> argv = pointers(command);
  const bool by_path = command[0].contains('/');
  const std::string directories[] = {by_path ? "" : "/usr/local/bin/", "/usr/bin/", "/bin/"};
  std::vector<std::string> places;
  for (const auto& directory : directories) {
    places.push_back(directory + command[0]);
    if (by_path) break;
  }

  std::vector<prewarm::Operation> chain = {op::clone(), op::open(0, "/dev/null", O_RDONLY)};
  for (const auto& place : places) chain.push_back(op::exec(place.c_str(), argv.data(), environ));
  if (!jobs.ring.push_chain(chain)) return false;
  const auto submitted = jobs.ring.submit();
  if (!submitted) {
    std::cerr << submitted.error().message() << '\n';
    return false;
  }
  ++jobs.starting;
  return true;
}

// A clone's completion brings the process. Whether its program was found shows in its end: a chain
// without a successful exec is killed.
void take_started(Jobs& jobs) {
  std::array<prewarm::Completion, 64> completions;
  const unsigned count = jobs.ring.reap(completions);
  for (auto& c : std::span(completions).first(count)) {
    if (c.code != prewarm::OperationCode::clone) continue;
    --jobs.starting;
    if (c.result < 0) {
      std::cerr << "clone: " << std::strerror(-c.result) << '\n';
      ++jobs.failures;
    } else {
      jobs.running.emplace_back(c.result, std::move(c.pidfd));
    }
  }
}

void take_ended(Jobs& jobs) {
  std::erase_if(jobs.running, [&](prewarm::Process& process) {
    const auto ended = process.wait_for(std::chrono::milliseconds(0));
    if (ended && !*ended) return false;
    if (!ended || !(*ended)->success()) ++jobs.failures;
    return true;
  });
}

void wait_for_event(const Jobs& jobs) {
  std::vector<pollfd> events = {{jobs.ring.pollable(), POLLIN, 0}};
  for (const auto& process : jobs.running) events.push_back({process.pidfd(), POLLIN, 0});
  ::poll(events.data(), events.size(), -1);
}

}  // namespace

int main(int argc, char** argv) {
  const int at_once = argc > 2 ? std::atoi(argv[1]) : 0;
  if (at_once <= 0) {
    std::cerr << "usage: parallel JOBS COMMAND [ARGUMENT...]\n";
    return 2;
  }
  auto ring = prewarm::SpawnRing::create();
  if (!ring) {
    std::cerr << ring.error().message() << '\n';
    return 2;
  }

  Jobs jobs(*ring);
  bool more = true;
  while (more || jobs.starting > 0 || !jobs.running.empty()) {
    while (more && jobs.starting + jobs.running.size() < static_cast<std::size_t>(at_once)) {
      std::string line;
      more = static_cast<bool>(std::getline(std::cin, line));
      if (!more) break;
      std::vector<std::string> command(argv + 2, argv + argc);
      command.push_back(std::move(line));
      if (!start(jobs, std::move(command))) ++jobs.failures;
    }
    if (jobs.starting > 0 || !jobs.running.empty()) wait_for_event(jobs);
    take_started(jobs);
    take_ended(jobs);
  }
  return std::min(jobs.failures, 100);
}
