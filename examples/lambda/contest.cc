// SPDX-License-Identifier: MIT

#include "contest.h"

#include <fmt/format.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <string_view>
#include <utility>

#include "workload.h"

namespace lambda {

namespace {

using std::chrono::steady_clock;

// Set for the runtimes, or kept from them because they would change what is
// measured (a proxy between a runtime and its server, an end before the last event).
constexpr std::array<std::string_view, 9> kOwnVariables = {"AWS_LAMBDA_RUNTIME_API",
                                                           "_HANDLER",
                                                           "LAMBDA_RUNTIME_API_VERSION",
                                                           "LAMBDA_MAX_INVOCATIONS",
                                                           "TMPDIR",
                                                           "http_proxy",
                                                           "all_proxy",
                                                           "ALL_PROXY",
                                                           "CURL_HOME"};

std::vector<std::string> runtime_environment(std::string_view api_address,
                                             const std::filesystem::path& temp_dir) {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::ranges::find(kOwnVariables, name) == kOwnVariables.end()) env.emplace_back(text);
  }
  env.push_back(fmt::format("AWS_LAMBDA_RUNTIME_API={}", api_address));
  env.push_back(fmt::format("LAMBDA_RUNTIME_API_VERSION={}", kApiVersion));
  env.push_back("_HANDLER=function.handler");
  env.push_back("TMPDIR=" + temp_dir.string());
  return env;
}

uint64_t random_salt() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

int milliseconds_until(steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

}  // namespace

Contest::Contest(ContestOptions options, const StopSignals& stop)
    : options_(std::move(options)), stop_(stop) {}

Contest::~Contest() {
  // All runtimes first: a server's end waits for its runtime's connections.
  for (auto& contender : contenders_) contender->child.kill_group();
  contenders_.clear();
  std::error_code ignored;  // nobody is left to be told
  if (!temp_dir_.empty()) std::filesystem::remove_all(temp_dir_, ignored);
}

Result<void> Contest::start() {
  if (auto made = make_temp_dir(); !made) return made;
  for (const RuntimeSpec& spec : options_.runtimes) {
    if (auto started = start_server(spec); !started) return started;
  }
  for (size_t i = 0; i < contenders_.size(); ++i) {
    if (auto started = start_runtime(*contenders_[i], options_.runtimes[i].argv); !started) {
      return started;
    }
  }
  for (auto& contender : contenders_) {
    auto asking = [&] { return contender->exchange().asking(); };
    if (auto ready = wait_for(*contender, "its first request", asking); !ready) return ready;
  }
  return {};
}

Result<void> Contest::run() {
  for (int round = 0; round < options_.warmup + options_.count; ++round) {
    // Each round begins with another runtime, so that none always works in the
    // wake of the same other one.
    for (size_t turn = 0; turn < contenders_.size(); ++turn) {
      Contender& contender = *contenders_[(turn + static_cast<size_t>(round)) % contenders_.size()];
      if (auto taken = take_turn(contender, round); !taken) return taken;
    }
  }
  return {};
}

Result<void> Contest::finish() {
  for (auto& contender : contenders_) contender->exchange().close();
  for (auto& contender : contenders_) {
    if (auto ended = await_end(*contender); !ended) return ended;
    check_leftovers(*contender);
  }
  return {};
}

std::vector<Outcome> Contest::outcomes() const {
  std::vector<Outcome> outcomes;
  outcomes.reserve(contenders_.size());
  for (const auto& contender : contenders_) outcomes.push_back(contender->outcome);
  return outcomes;
}

std::vector<std::string> Contest::problems() const {
  std::vector<std::string> all;
  for (const auto& contender : contenders_) {
    const std::vector<std::string> texts = contender->exchange().problems();
    all.insert(all.end(), texts.begin(), texts.end());
    const size_t untold = contender->exchange().problem_count() - texts.size();
    if (untold > 0) all.push_back(fmt::format("{}: and {} more", contender->name, untold));
  }
  all.insert(all.end(), late_problems_.begin(), late_problems_.end());
  return all;
}

Result<void> Contest::make_temp_dir() {
  std::error_code code;
  std::filesystem::path parent = std::filesystem::temp_directory_path(code);
  if (code) return system_failure("find", "a directory for temporary files", code.value());
  std::string path = parent / "lambda-demo.XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return system_failure("create", path, errno);
  temp_dir_ = path;
  return {};
}

Result<void> Contest::start_server(const RuntimeSpec& spec) {
  auto contender = std::make_unique<Contender>();
  contender->name = contender->outcome.runtime = spec.name;
  contender->salt = random_salt();
  contender->temp_dir = temp_dir_ / spec.name;
  std::error_code code;
  std::filesystem::create_directory(contender->temp_dir, code);
  if (code) return system_failure("create", contender->temp_dir, code.value());

  Result<std::unique_ptr<Server>> server = Server::start({.name = spec.name});
  if (!server) return std::unexpected(server.error());
  contender->server = std::move(*server);
  contenders_.push_back(std::move(contender));
  return {};
}

Result<void> Contest::start_runtime(Contender& contender, const std::vector<std::string>& argv) {
  Result<Child> child =
      Child::spawn({.argv = argv,
                    .env = runtime_environment(contender.server->address(), contender.temp_dir),
                    .signal_mask = stop_.original_mask()});
  if (!child) {
    return std::unexpected(Error{"run the runtime", contender.name, child.error().message()});
  }
  contender.child = std::move(*child);
  return {};
}

Result<void> Contest::take_turn(Contender& contender, int number) {
  contender.exchange().offer(make_event(contender.salt, number));

  std::optional<Invocation> invocation;
  auto done = [&] {
    invocation = contender.exchange().collect();
    return invocation.has_value();
  };
  const std::string awaited = fmt::format("an answer to event {} and the next request", number + 1);
  if (auto waited = wait_for(contender, awaited, done); !waited) return waited;

  if (number >= options_.warmup) contender.outcome.invocations.push_back(*invocation);
  return {};
}

Result<void> Contest::await_end(Contender& contender) {
  const auto deadline = steady_clock::now() + options_.answer_limit;
  std::array<pollfd, 2> fds = {pollfd{stop_.fd(), POLLIN, 0},
                               pollfd{contender.child.exit_fd(), POLLIN, 0}};
  while (fds[1].revents == 0) {
    const int ready = ::poll(fds.data(), fds.size(), milliseconds_until(deadline));
    if (ready < 0 && errno != EINTR) return system_failure("wait for", contender.name, errno);
    if (ready == 0) return runtime_failure(contender, "it did not end when told that all is done");
    if (fds[0].revents != 0) return stopped();
  }
  if (std::optional<std::string> failure = contender.child.reap()) {
    return runtime_failure(contender, "after the last event it " + *failure);
  }
  return {};
}

void Contest::check_leftovers(const Contender& contender) {
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(contender.temp_dir, code)) {
    late_problems_.push_back(fmt::format("{}: left a temporary file behind: {}", contender.name,
                                         entry.path().filename().string()));
  }
}

template <class Done>
Result<void> Contest::wait_for(Contender& contender, std::string_view awaited, Done done) {
  const auto deadline = steady_clock::now() + options_.answer_limit;
  while (!done()) {
    if (auto polled = poll_once(contender, awaited, deadline); !polled) return polled;
  }
  return {};
}

Result<void> Contest::poll_once(Contender& contender, std::string_view awaited,
                                steady_clock::time_point deadline) {
  // Descriptors in order: stop signals, the contender's changes, all exits.
  std::vector<pollfd> fds = {{stop_.fd(), POLLIN, 0},
                             {contender.exchange().changed_fd(), POLLIN, 0}};
  for (auto& other : contenders_) fds.push_back({other->child.exit_fd(), POLLIN, 0});

  const int ready = ::poll(fds.data(), fds.size(), milliseconds_until(deadline));
  if (ready < 0 && errno != EINTR) return system_failure("wait for", contender.name, errno);
  if (ready < 0) return {};
  if (ready == 0) {
    return runtime_failure(contender, fmt::format("waited {} s in vain for {}",
                                                  options_.answer_limit.count(), awaited));
  }
  if (fds[0].revents != 0) return stopped();
  for (size_t i = 0; i < contenders_.size(); ++i) {
    if (fds[2 + i].revents == 0) continue;
    const std::string how = contenders_[i]->child.reap().value_or("ended with status 0");
    return runtime_failure(*contenders_[i],
                           fmt::format("it {} while {} owed {}", how, contender.name, awaited));
  }
  contender.exchange().acknowledge();
  if (std::optional<std::string> text = contender.exchange().init_error()) {
    return runtime_failure(contender, "it reported that it cannot start: " + *text);
  }
  return {};
}

std::unexpected<Error> Contest::stopped() {
  stop_signal_ = stop_.read_signal();
  const char* name = sigabbrev_np(stop_signal_);
  return std::unexpected(
      Error{"finish", "the demo", fmt::format("got SIG{}", name != nullptr ? name : "?")});
}

std::unexpected<Error> Contest::runtime_failure(Contender& contender, std::string reason) {
  if (std::string output = contender.child.last_output(); !output.empty()) {
    reason += "\nits last output:\n" + output;
  }
  return std::unexpected(Error{"go on with the runtime", contender.name, std::move(reason)});
}

}  // namespace lambda
