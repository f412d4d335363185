// SPDX-License-Identifier: MIT
#include "os/self.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "os/testing.h"

namespace prewarm::os {
namespace {

TEST(SelfTest, TheUmaskIsToldAndStays) {
  const mode_t before = ::umask(027);
  EXPECT_EQ(current_umask(), 027U);
  EXPECT_EQ(::umask(before), 027U);
}

class WorkingDirectoryTest : public testing::Test {
 protected:
  WorkingDirectoryTest() { std::filesystem::current_path(directory_.path()); }
  ~WorkingDirectoryTest() override { std::filesystem::current_path(before_); }

  const std::filesystem::path before_ = std::filesystem::current_path();
  const TempDirectory directory_;
};

TEST_F(WorkingDirectoryTest, APathIsSeenFromIt) {
  const std::string here = std::filesystem::canonical(directory_.path());
  EXPECT_EQ(working_directory(), here);
  EXPECT_EQ(absolute_path("a/b"), here + "/a/b");
  EXPECT_EQ(absolute_path("./a"), here + "/./a");
  EXPECT_EQ(absolute_path("/a/b"), "/a/b");
}

TEST_F(WorkingDirectoryTest, MayHaveBeenRemoved) {
  std::filesystem::remove(directory_.path());
  errno = 0;
  EXPECT_EQ(working_directory(), "");
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(absolute_path("a"), "");
  EXPECT_EQ(absolute_path("/a"), "/a");
}

}  // namespace
}  // namespace prewarm::os
