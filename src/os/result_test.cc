// SPDX-License-Identifier: MIT
#include "os/result.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace prewarm::os {
namespace {

TEST(ErrorTest, MessageNamesOperationSubjectAndError) {
  EXPECT_EQ((Error{"open", "/x", ENOENT}.message()), "open /x: No such file or directory");
}

TEST(ErrorTest, MessageLeavesOutWhatThereIsNot) {
  EXPECT_EQ((Error{"map the pool table", "", ENOMEM}.message()),
            "map the pool table: Cannot allocate memory");
  EXPECT_EQ((Error{"read", "profile", 0}.message()), "read profile");
  EXPECT_EQ((Error{"read", "", 0}.message()), "read");
}

TEST(ResultTest, FailedTakesTheCurrentErrno) {
  const auto attempt = []() -> Result<int> {
    const int fd = ::open("/nonexistent/file", O_RDONLY);
    if (fd < 0) return failed("open", "/nonexistent/file");
    return fd;
  };
  const Result<int> result = attempt();
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ENOENT);
  EXPECT_EQ(result.error().message(), "open /nonexistent/file: No such file or directory");
}

TEST(ResultTest, FailedWithTakesTheGivenCodeWhateverErrnoIs) {
  errno = ENOENT;
  const Result<void> result = failed_with(EPERM, "claim");
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, EPERM);
  EXPECT_EQ(result.error().message(), "claim: Operation not permitted");
}

// The subject's copy must not cost the errno that is to be reported.
TEST(ResultTest, FailedKeepsErrnoWhileItCopiesALongSubject) {
  errno = EACCES;
  EXPECT_EQ(failed("open", std::string(100000, 'x')).error().code, EACCES);
}

}  // namespace
}  // namespace prewarm::os
