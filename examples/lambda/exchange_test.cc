// SPDX-License-Identifier: MIT

#include "exchange.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <future>
#include <thread>

namespace lambda {
namespace {

constexpr int kPatienceMs = 10'000;

class ExchangeTest : public testing::Test {
 protected:
  // What the server does for `next`, on a thread of its own.
  std::future<std::optional<Event>> ask() {
    return std::async(std::launch::async, [this] { return exchange_->take_next(); });
  }

  void wait_for_change() {
    pollfd changed{exchange_->changed_fd(), POLLIN, 0};
    ASSERT_EQ(poll(&changed, 1, kPatienceMs), 1);
    exchange_->acknowledge();
  }

  // Hands out an event as far as the runtime having it.
  void hand_out(const std::string& id) {
    auto asked = ask();
    wait_for_change();
    exchange_->offer({id, "body", "answer"});
    ASSERT_EQ(asked.get()->request_id, id);
  }

  std::unique_ptr<Exchange> exchange_ = std::move(*Exchange::create("tested"));
};

TEST_F(ExchangeTest, OneInvocationIsTimedAndCollectedOnceTheRuntimeAsksAgain) {
  hand_out("a");
  const Clock::time_point received = Clock::now();
  EXPECT_EQ(exchange_->respond("a", "answer", received), Verdict::accepted);
  EXPECT_FALSE(exchange_->collect());

  auto asked_again = ask();
  wait_for_change();
  std::optional<Invocation> invocation = exchange_->collect();
  ASSERT_TRUE(invocation);
  EXPECT_TRUE(invocation->right);
  EXPECT_GE(invocation->answer_time.count(), 0);
  EXPECT_GE(invocation->loop_time, invocation->answer_time);
  EXPECT_FALSE(exchange_->collect());

  exchange_->close();
  EXPECT_FALSE(asked_again.get());
  EXPECT_EQ(exchange_->problem_count(), 0u);
}

TEST_F(ExchangeTest, WrongAnswerIsAcceptedButReported) {
  hand_out("a");
  EXPECT_EQ(exchange_->respond("a", "nonsense", Clock::now()), Verdict::accepted);
  exchange_->close();
  exchange_->take_next();
  EXPECT_FALSE(exchange_->collect()->right);
  ASSERT_EQ(exchange_->problem_count(), 1u);
  EXPECT_EQ(exchange_->problems()[0],
            "tested: wrong answer to a: expected 'answer', got 'nonsense'");
}

TEST_F(ExchangeTest, SecondAnswerAndUnknownIdAreRefused) {
  hand_out("a");
  exchange_->respond("a", "answer", Clock::now());
  EXPECT_EQ(exchange_->respond("a", "answer", Clock::now()), Verdict::already_answered);
  EXPECT_EQ(exchange_->respond("b", "answer", Clock::now()), Verdict::unknown_id);
  auto asked = ask();
  wait_for_change();
  ASSERT_TRUE(exchange_->collect());
  EXPECT_EQ(exchange_->respond("a", "answer", Clock::now()), Verdict::already_answered);
  EXPECT_EQ(exchange_->problem_count(), 3u);
  exchange_->close();
}

TEST_F(ExchangeTest, ReportedErrorCountsAsWrong) {
  hand_out("a");
  EXPECT_EQ(exchange_->report_error("a", "it broke", Clock::now()), Verdict::accepted);
  exchange_->close();
  exchange_->take_next();
  EXPECT_FALSE(exchange_->collect()->right);
  EXPECT_EQ(exchange_->problems()[0], "tested: reported an error for a: it broke");
}

TEST_F(ExchangeTest, AskingWithoutAnsweringCountsAsWrong) {
  hand_out("a");
  exchange_->close();
  exchange_->take_next();
  EXPECT_FALSE(exchange_->collect()->right);
  EXPECT_EQ(exchange_->problem_count(), 1u);
}

TEST_F(ExchangeTest, InitErrorIsAChange) {
  exchange_->report_init_error("no such handler");
  wait_for_change();
  EXPECT_EQ(exchange_->init_error(), "no such handler");
}

TEST_F(ExchangeTest, KeepsABoundedNumberOfProblems) {
  for (size_t i = 0; i < 2 * Exchange::kMaxProblems; ++i) {
    exchange_->respond("unknown", "", Clock::now());
  }
  EXPECT_EQ(exchange_->problems().size(), Exchange::kMaxProblems);
  EXPECT_EQ(exchange_->problem_count(), 2 * Exchange::kMaxProblems);
}

}  // namespace
}  // namespace lambda
