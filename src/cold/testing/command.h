// SPDX-License-Identifier: MIT
//
// For tests of Command: a fixture, and short ways to say things.
#pragma once

#include <gtest/gtest.h>

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

class CommandFixture : public os::LeavesNothing {
 protected:
  os::TempDirectory directory_;
};

}  // namespace prewarm
