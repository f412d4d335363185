// SPDX-License-Identifier: MIT
//
// `prewarm call --each`: one loop that reads arguments, keeps some invocations under way, and
// counts.
#include "cli/call_each.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/commands.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/signal_queue.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

// As xargs(1) has it.
constexpr int kSomeFailed = 123;
constexpr int kStopped = 125;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kGraceNs = 2 * os::kNsPerSecond;  // between SIGTERM and SIGKILL
constexpr std::int64_t kShowEveryNs = 200 * os::kNsPerMs;
constexpr std::size_t kMaxArgument = std::size_t{1} << 17;  // MAX_ARG_STRLEN

// The arguments on standard input, as they come.
class Arguments {
 public:
  explicit Arguments(char end) : end_(end) {}

  bool ended() const { return at_end_ && buffer_.empty(); }
  bool wants_to_read() const { return !at_end_ && buffer_.find(end_) == std::string::npos; }
  void read() {
    char bytes[65536];
    const ssize_t n = ::read(0, bytes, sizeof bytes);
    if (n > 0) {
      buffer_.append(bytes, static_cast<std::size_t>(n));
      seen_ += static_cast<std::uint64_t>(std::count(bytes, bytes + n, end_));
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
      if (n < 0) error_ = errno;
      at_end_ = true;
      if (!buffer_.empty()) ++seen_;  // without an end
    }
    if (buffer_.size() > kMaxArgument && wants_to_read()) at_end_ = too_long_ = true;
  }
  std::optional<std::string> next() {
    const auto end = buffer_.find(end_);
    if (too_long_ || (end == std::string::npos && (!at_end_ || buffer_.empty()))) return {};
    std::string argument = buffer_.substr(0, end);
    buffer_.erase(0, end == std::string::npos ? end : end + 1);
    return argument;
  }
  bool too_long() const { return too_long_; }
  int error() const { return error_; }  // why they could not be read to their end; 0: they were
  // How many there are; nothing while that isn't known.
  std::optional<std::uint64_t> total() const {
    return at_end_ ? std::optional(seen_) : std::nullopt;
  }

 private:
  char end_;
  std::string buffer_;
  bool at_end_ = false;
  bool too_long_ = false;
  int error_ = 0;
  std::uint64_t seen_ = 0;
};

// A line on a terminal that says how far it is; nothing anywhere else.
class Progress {
 public:
  explicit Progress(bool wanted) : shown_(wanted && ::isatty(2) == 1), begun_(os::now_ns()) {}
  ~Progress() {
    if (shown_) std::fputs("\n", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(std::uint64_t done, std::uint64_t failed, std::optional<std::uint64_t> total,
            bool now) {
    const std::int64_t time = os::now_ns();
    if (!shown_ || (!now && time - last_ < kShowEveryNs)) return;
    last_ = time;
    const double seconds =
        std::max(1e-6, static_cast<double>(time - begun_) / static_cast<double>(os::kNsPerSecond));
    const double rate = static_cast<double>(done) / seconds;
    std::string line = fmt::format("\r{}{} done, {:.0f}/s, {} failed", done,
                                   total ? fmt::format(" of {}", *total) : "", rate, failed);
    if (total && done > 0 && done < *total) {
      line += fmt::format(", {:.0f} s left", static_cast<double>(*total - done) / rate);
    }
    std::fputs((line + "\033[K").c_str(), stderr);
  }

 private:
  bool shown_;
  std::int64_t begun_;
  std::int64_t last_ = 0;
};

class Each {
 public:
  Each(const CallOptions& options, coproc::Invocation invocation, os::Result<coproc::Client> owner)
      : options_(options),
        invocation_(std::move(invocation)),
        owner_(std::move(owner)),
        arguments_(options.null_ends ? '\0' : '\n'),
        progress_(options.progress),
        input_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    jobs_ = options.jobs > 0   ? options.jobs
            : options.pool > 0 ? options.pool
                               : std::max(1U, std::thread::hardware_concurrency());
  }

  int run() {
    os::SignalQueue signals(os::signal_set({SIGINT, SIGTERM, SIGHUP, SIGCHLD}));
    while (!is_stopped() || under_way() > 0) {
      start_more();
      if (arguments_.ended() && under_way() == 0) break;
      if (arguments_.too_long()) {
        complain("call: an argument on standard input is longer than 131,072 bytes");
        failed_ += 1;
        break;
      }
      wait(signals);
      progress_.show(done_, failed_, arguments_.total(), false);
    }
    progress_.show(done_, failed_, arguments_.total(), true);
    if (stopped_by_) return 128 + *stopped_by_;
    if (arguments_.error() != 0) {
      complain(std::string("call: can't read standard input: ") +
               std::strerror(arguments_.error()));
      return kStopped;
    }
    return lost_ ? kStopped : failed_ > 0 ? kSomeFailed : 0;
  }

 private:
  struct Batch {
    Process process;
    std::string argument;
    std::int64_t due;
    bool is_late = false;
  };

  bool is_stopped() const { return stopped_by_ || lost_; }
  std::size_t under_way() const { return requests_.size() + processes_.size(); }

  void start_more() {
    while (!is_stopped() && under_way() < jobs_) {
      auto argument = arguments_.next();
      if (!argument) return;
      auto invocation = invocation_;
      invocation.arguments.push_back(std::move(*argument));
      if (owner_) {
        const auto id = owner_->send(invocation, {input_.get(), 1, 2});
        if (id) {
          requests_.emplace(*id, std::move(invocation));
          continue;
        }
      }
      run_batch(invocation, owner_ ? "the request can't be sent" : owner_.error().message());
    }
  }

  void run_batch(const coproc::Invocation& invocation, const std::string& why) {
    if (options_.explain || !options_.batch) {
      complain("call: " + invocation.arguments.back() +
               (options_.batch ? " runs as a batch process: " : " is not served: ") + why);
    }
    if (!options_.batch) return end(false);
    Command command(invocation.program);
    command.argv0(invocation.arguments[0]);
    for (std::size_t i = 1; i < invocation.arguments.size(); ++i) {
      command.arg(invocation.arguments[i]);
    }
    command.in(Stdio::null()).signals(Signals::all_default);
    auto process = command.spawn();
    if (process) {
      const std::int64_t due =
          invocation.timeout ? os::now_ns() + invocation.timeout->count() * os::kNsPerMs : kNever;
      processes_.push_back({std::move(*process), invocation.arguments.back(), due});
    } else {
      complain("call: " + process.error().message());
      end(false);
    }
  }

  // Until when nothing is due, in ns from now.
  std::int64_t end_late_ones() {
    const std::int64_t now = os::now_ns();
    std::int64_t next = now + os::kNsPerSecond;
    for (auto& batch : processes_) {
      if (now >= batch.due) {
        // An error: it has just ended.
        const auto sent = batch.process.kill(batch.is_late ? SIGKILL : SIGTERM);
        batch.is_late = true;
        batch.due = sent ? now + kGraceNs : kNever;
      }
      next = std::min(next, batch.due);
    }
    return next - now + os::kNsPerMs;
  }

  void end(bool success) {
    ++done_;
    if (!success) ++failed_;
  }

  void wait(os::SignalQueue& signals) {
    const bool reads = !is_stopped() && under_way() < jobs_ && arguments_.wants_to_read();
    pollfd polled[] = {{owner_ ? owner_->fd() : -1, POLLIN, 0},
                       {signals.fd(), POLLIN, 0},
                       {reads ? 0 : -1, POLLIN, 0}};
    ::poll(polled, 3, static_cast<int>(end_late_ones() / os::kNsPerMs));
    if (polled[0].revents != 0) take_answers();
    if (polled[1].revents != 0) take_signals(signals);
    if (polled[2].revents != 0) arguments_.read();
  }

  void take_answers() {
    for (;;) {
      auto answer = owner_->receive(false);
      if (!answer) return lose_owner();
      if (!*answer) return;
      const auto request = requests_.find((*answer)->id);
      const auto outcome = coproc::outcome_of(**answer);
      if (request == requests_.end() || !outcome) return lose_owner();
      const auto invocation = std::move(request->second);
      requests_.erase(request);
      if (!outcome->was_run() && stopped_by_) {
        end(false);
      } else if (!outcome->was_run()) {
        run_batch(invocation, outcome->message);
      } else {
        if (!outcome->message.empty()) {
          complain("call: " + invocation.arguments.back() + ": " + outcome->message);
        }
        end(outcome->kind == coproc::Outcome::Kind::exited && outcome->value == 0);
      }
    }
  }

  // What it was asked for may have run: it is not run again, and nothing more is begun.
  void lose_owner() {
    owner_ = os::failed_with(EPIPE, "ask the owner of the pools");
    if (requests_.empty()) return;  // it was told to end
    complain("call: lost the owner of the pools; of " + std::to_string(requests_.size()) +
             " invocations it isn't known whether they came to their end");
    failed_ += requests_.size();
    done_ += requests_.size();
    requests_.clear();
    lost_ = true;
  }

  void take_signals(os::SignalQueue& signals) {
    while (const auto info = signals.next()) {
      const int number = static_cast<int>(info->ssi_signo);
      if (number == SIGCHLD) continue;
      if (!stopped_by_) stopped_by_ = number;
      for (const auto& [id, invocation] : requests_) {
        if (const auto sent = owner_->signal(id, number); !sent) break;
      }
      // What a terminal sends has reached them.
      for (auto& batch : processes_) {
        if (info->ssi_code == SI_KERNEL || !batch.process.kill(number)) continue;
      }
    }
    std::erase_if(processes_, [this](Batch& batch) {
      const auto exit = batch.process.wait_for(std::chrono::milliseconds(0));
      if (exit && !*exit) return false;
      if (batch.is_late) complain("call: " + batch.argument + ": its time was over");
      end(exit && (*exit)->success() && !batch.is_late);
      return true;
    });
  }

  const CallOptions& options_;
  const coproc::Invocation invocation_;
  os::Result<coproc::Client> owner_;
  Arguments arguments_;
  Progress progress_;
  os::Fd input_;
  std::size_t jobs_ = 1;
  std::map<std::uint32_t, coproc::Invocation> requests_;
  std::vector<Batch> processes_;
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
  std::optional<int> stopped_by_;
  bool lost_ = false;
};

}  // namespace

int call_each(const CallOptions& options, coproc::Invocation invocation,
              os::Result<coproc::Client> owner) {
  return Each(options, std::move(invocation), std::move(owner)).run();
}

}  // namespace prewarm::cli
