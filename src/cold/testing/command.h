// SPDX-License-Identifier: MIT
//
// For tests of Command: a fixture that finds what was left behind, and short ways to say things.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "os/testing.h"
#include "prewarm/command.h"

namespace prewarm {

inline Command shell(std::string commands) {
  return Command("/bin/sh").arg("-c").arg(std::move(commands));
}

// What a command that succeeds writes.
inline std::string output_of(const Command& command) {
  const auto output = command.capture();
  EXPECT_TRUE(output) << output.error().message();
  if (!output) return {};
  EXPECT_TRUE(output->success()) << output->status.message() << ": " << output->err;
  EXPECT_EQ(output->err, "");
  return output->out;
}

class CommandFixture : public ::testing::Test {
 protected:
  CommandFixture() : before_(os::open_descriptors()) {}
  ~CommandFixture() override {
    EXPECT_TRUE(os::is_childless());
    os::kill_children();
    EXPECT_EQ(os::open_descriptors(), before_);
  }

  os::TempDirectory directory_;

 private:
  std::set<int> before_;
};

}  // namespace prewarm
