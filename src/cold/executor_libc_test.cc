// SPDX-License-Identifier: MIT
//
// What the operations do is shown by posix_spawn_test.cc; here that nobody else can ask for them.
#include "cold/executor_libc.h"

#include <gtest/gtest.h>

namespace prewarm::cold {
namespace {

TEST(ExecutorLibc, ItsOperationsAreNotForTheRing) {
  for (const OperationCode code : {libc::kClose, libc::kOpen, libc::kExec}) {
    Operation operation = op::close(5);
    EXPECT_EQ(check(operation), 0);
    operation.code = code;
    EXPECT_EQ(check(operation), -EINVAL);
  }
}

}  // namespace
}  // namespace prewarm::cold
