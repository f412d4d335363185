// SPDX-License-Identifier: MIT
#include "os/signal_queue.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/testing.h"

namespace prewarm::os {
namespace {

bool is_blocked(int number) {
  sigset_t now;
  ::sigprocmask(SIG_SETMASK, nullptr, &now);
  return ::sigismember(&now, number) == 1;
}

TEST(SignalQueueTest, WhatComesCanBeRead) {
  SignalQueue queue(signal_set({SIGUSR1, SIGUSR2}));
  ASSERT_TRUE(queue.valid());
  EXPECT_FALSE(queue.next().has_value());
  ::kill(::getpid(), SIGUSR2);
  EXPECT_TRUE(wait_readable(queue.fd()));
  const auto info = queue.next();
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->ssi_signo, static_cast<unsigned>(SIGUSR2));
  EXPECT_FALSE(queue.next().has_value());
  queue.restore();
}

TEST(SignalQueueTest, TheMaskIsAsBeforeAfterwards) {
  ASSERT_FALSE(is_blocked(SIGUSR1));
  SignalQueue queue(signal_set({SIGUSR1}));
  EXPECT_TRUE(is_blocked(SIGUSR1));
  EXPECT_EQ(::sigismember(&queue.before(), SIGUSR1), 0);
  queue.restore();
  EXPECT_FALSE(is_blocked(SIGUSR1));
  EXPECT_FALSE(queue.valid());
}

}  // namespace
}  // namespace prewarm::os
