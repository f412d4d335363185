// SPDX-License-Identifier: MIT

#include "exchange.h"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <memory>

namespace lambda {

namespace {

// Bodies are quoted in problem texts; a wrong one may be of any length.
std::string excerpt(std::string_view text) {
  constexpr size_t kLongest = 200;
  if (text.size() <= kLongest) return std::string(text);
  return fmt::format("{}... ({} bytes)", text.substr(0, kLongest), text.size());
}

}  // namespace

Result<std::unique_ptr<Exchange>> Exchange::create(std::string name) {
  prewarm::Fd changed(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!changed.valid()) return system_failure("create an eventfd for", name, errno);
  return std::unique_ptr<Exchange>(new Exchange(std::move(name), std::move(changed)));
}

void Exchange::acknowledge() {
  // Fails only with EAGAIN, when there was no change: fine.
  uint64_t changes;
  [[maybe_unused]] ssize_t got = ::read(changed_.get(), &changes, sizeof changes);
}

bool Exchange::asking() const {
  std::lock_guard lock(mutex_);
  return askers_ > 0;
}

void Exchange::offer(Event event) {
  {
    std::lock_guard lock(mutex_);
    assert(askers_ > 0 && !offered_ && !current_);
    offered_ = std::move(event);
  }
  offered_or_closed_.notify_one();
}

std::optional<Invocation> Exchange::collect() {
  std::lock_guard lock(mutex_);
  if (!current_ || !answered_ || !asked_again_) return std::nullopt;
  answered_ids_.insert(std::move(current_->request_id));
  current_.reset();
  return invocation_;
}

void Exchange::close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  offered_or_closed_.notify_all();
}

std::optional<std::string> Exchange::init_error() const {
  std::lock_guard lock(mutex_);
  return init_error_;
}

std::vector<std::string> Exchange::problems() const {
  std::lock_guard lock(mutex_);
  return problems_;
}

size_t Exchange::problem_count() const {
  std::lock_guard lock(mutex_);
  return problem_count_;
}

std::optional<Event> Exchange::take_next() {
  const Clock::time_point asked = Clock::now();
  std::unique_lock lock(mutex_);
  if (current_ && !asked_again_) {
    if (!answered_) {
      add_problem(fmt::format("asked for another event, left {} unanswered", current_->request_id));
      finish_current(asked, false);
    }
    invocation_.loop_time = asked - handed_out_;
    asked_again_ = true;
  }
  // Only here is the caller woken, not when the answer arrives: on a small
  // machine it would take a processor from the runtime in mid-loop.
  ++askers_;
  signal_change();
  offered_or_closed_.wait(lock, [&] { return offered_ || closed_; });
  --askers_;
  if (!offered_) return std::nullopt;

  current_ = std::exchange(offered_, std::nullopt);
  answered_ = asked_again_ = false;
  invocation_ = {};
  Event event = *current_;
  handed_out_ = Clock::now();
  return event;
}

Verdict Exchange::respond(std::string_view request_id, std::string_view body,
                          Clock::time_point received) {
  std::lock_guard lock(mutex_);
  const Verdict verdict = judge(request_id, "response");
  if (verdict != Verdict::accepted) return verdict;

  const bool right = body == current_->expected_answer;
  if (!right) {
    add_problem(fmt::format("wrong answer to {}: expected '{}', got '{}'", request_id,
                            excerpt(current_->expected_answer), excerpt(body)));
  }
  finish_current(received, right);
  return verdict;
}

Verdict Exchange::report_error(std::string_view request_id, std::string_view body,
                               Clock::time_point received) {
  std::lock_guard lock(mutex_);
  const Verdict verdict = judge(request_id, "error");
  if (verdict != Verdict::accepted) return verdict;

  add_problem(fmt::format("reported an error for {}: {}", request_id, excerpt(body)));
  finish_current(received, false);
  return verdict;
}

void Exchange::report_init_error(std::string_view body) {
  std::lock_guard lock(mutex_);
  init_error_ = excerpt(body);
  add_problem(fmt::format("reported that it cannot start: {}", *init_error_));
  signal_change();
}

Verdict Exchange::judge(std::string_view request_id, const char* what) {
  const bool is_current = current_ && current_->request_id == request_id;
  if (is_current && !answered_) return Verdict::accepted;
  if (is_current || answered_ids_.contains(std::string(request_id))) {
    add_problem(fmt::format("sent a second {} for {}", what, excerpt(request_id)));
    return Verdict::already_answered;
  }
  add_problem(fmt::format("sent a {} for the unknown request id '{}'", what, excerpt(request_id)));
  return Verdict::unknown_id;
}

void Exchange::finish_current(Clock::time_point at, bool right) {
  invocation_.answer_time = at - handed_out_;
  invocation_.right = right;
  answered_ = true;
}

void Exchange::add_problem(std::string text) {
  ++problem_count_;
  if (problems_.size() < kMaxProblems) problems_.push_back(name_ + ": " + std::move(text));
}

void Exchange::signal_change() {
  // Can fail only if 2^64 - 2 changes were never acknowledged.
  constexpr uint64_t kOne = 1;
  [[maybe_unused]] ssize_t written = ::write(changed_.get(), &kOne, sizeof kOne);
}

}  // namespace lambda
