// SPDX-License-Identifier: MIT
#include "bench/coproc_request.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <memory>

#include "coproc/worker.h"
#include "os/clock.h"
#include "prewarm/command.h"

namespace prewarm::bench {
namespace {

constexpr unsigned kRequests = 100;  // per sample
constexpr unsigned kLaunches = 20;
constexpr unsigned kQuick = 3;
constexpr double kNsPerUs = 1000;

// Median of `count` times of `once`, in µs.
template <class Once>
os::Result<std::vector<double>> time_each(unsigned count, Once once) {
  std::vector<double> times;
  for (unsigned i = 0; i < count; ++i) {
    const auto start = os::now_ns();
    if (os::Result<void> done = once(); !done) return std::unexpected(done.error());
    times.push_back(static_cast<double>(os::now_ns() - start) / kNsPerUs);
  }
  return std::vector<double>{summarize(times).median};
}

struct Driver {
  std::unique_ptr<coproc::Worker> worker;
  coproc::Invocation invocation;
  os::Fd null;
};

os::Result<void> ask(Driver& driver) {
  const int null = driver.null.get();
  coproc::Client& client = driver.worker->client();
  if (const auto id = client.send(driver.invocation, {null, null, null}); !id) {
    return std::unexpected(id.error());
  }
  const auto answer = client.receive();
  if (!answer) return std::unexpected(answer.error());
  const auto outcome = coproc::outcome_of(**answer);
  if (!outcome || outcome->kind != coproc::Outcome::Kind::exited || outcome->value != 0) {
    return os::failed_with(0, "read the answer", "it is not that the tool exited with 0");
  }
  return {};
}

// `tool` as it is called, `command` as it is started as a worker.
os::Result<std::shared_ptr<Driver>> start(const std::string& tool,
                                          const std::vector<std::string>& command,
                                          const std::vector<std::string>& environment) {
  auto driver = std::make_shared<Driver>();
  auto worker = coproc::Worker::start(command, environment, "/");
  if (!worker) return std::unexpected(worker.error());
  driver->worker = std::move(*worker);
  driver->worker->process().set_kill_on_drop(true);
  if (const auto greeting = driver->worker->client().greet(); !greeting) {
    return std::unexpected(greeting.error());
  }
  driver->invocation.arguments = {tool, "some", "words"};
  driver->invocation.environment = environment;
  driver->invocation.clear_environment = true;
  driver->invocation.directory = "/tmp";
  driver->null.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
  return driver;
}

os::Result<void> launch(const std::string& tool) {
  const auto exit = prewarm::Command(tool)
                        .args({"some", "words"})
                        .directory("/tmp")
                        .in(Stdio::null())
                        .out(Stdio::null())
                        .err(Stdio::null())
                        .run();
  if (!exit) return std::unexpected(exit.error());
  if (!exit->success()) return os::failed_with(0, "run", tool);
  return {};
}

}  // namespace

os::Result<Measured> measure_requests(const Session& session, const std::string& cold,
                                      const std::vector<Served>& served) {
  const bool quick = session.options.quick;
  Plan plan;
  plan.metrics = {"from the request to the answer"};
  plan.sample = fmt::format("median of {} requests, or {} launches", quick ? kQuick : kRequests,
                            quick ? kQuick : kLaunches);
  plan.rounds = session.options.rounds;
  plan.warm_up = true;
  plan.variants = {{"cold", [cold, quick] {
                      return time_each(quick ? kQuick : kLaunches,
                                       [&cold] { return launch(cold); });
                    }}};
  for (const Served& one : served) {
    const auto driver = start(one.tool, one.command, session.environment("cache"));
    if (!driver) return std::unexpected(driver.error());
    plan.variants.push_back({one.name, [driver = *driver, quick] {
                               return time_each(quick ? kQuick : kRequests,
                                                [&driver] { return ask(*driver); });
                             }});
  }
  return interleave(session, plan);
}

os::Result<Measured> measure_request(const Session& session) {
  const std::string tool = session.options.directory + "/prewarm-bench-tool";
  return measure_requests(session, tool, {{"worker", tool, {tool}}});
}

}  // namespace prewarm::bench
