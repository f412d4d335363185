// SPDX-License-Identifier: MIT
#include "os/runtime_directory.h"

#include <gtest/gtest.h>

#include "os/testing.h"

namespace prewarm::os {
namespace {

class RuntimeDirectoryTest : public ::testing::Test {
 protected:
  ~RuntimeDirectoryTest() override {
    ::unsetenv("PREWARM_RUNTIME_DIR");
    ::unsetenv("XDG_RUNTIME_DIR");
  }
  int error_at(const std::string& path) {
    ::setenv("PREWARM_RUNTIME_DIR", path.c_str(), 1);
    const auto found = runtime_directory();
    return found ? 0 : found.error().code;
  }

  const TempDirectory directory_;
};

TEST_F(RuntimeDirectoryTest, IsWhereItIsSaid) {
  ::setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
  ::unsetenv("PREWARM_RUNTIME_DIR");
  EXPECT_EQ(runtime_directory().value_or(""), directory_ / "prewarm");
  ::setenv("PREWARM_RUNTIME_DIR", "relative", 1);
  EXPECT_EQ(runtime_directory().value_or(""), directory_ / "prewarm");
  ::setenv("PREWARM_RUNTIME_DIR", (directory_ / "own").c_str(), 1);
  EXPECT_EQ(runtime_directory().value_or(""), directory_ / "own");
}

TEST_F(RuntimeDirectoryTest, IsMadeForItsUserOnly) {
  const std::string path = directory_ / "made";
  EXPECT_EQ(error_at(path), 0);
  struct stat s;
  ASSERT_EQ(::lstat(path.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0700U);
  EXPECT_EQ(error_at(path), 0);
}

TEST_F(RuntimeDirectoryTest, ThatOthersCanEnterIsRefused) {
  const std::string path = directory_ / "open";
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  for (const mode_t mode : {0710U, 0701U, 0777U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    EXPECT_EQ(error_at(path), EPERM) << mode;
  }
}

TEST_F(RuntimeDirectoryTest, OfAnotherUserIsRefused) {
  const std::string path = directory_ / "other";
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  if (::chown(path.c_str(), 1, 1) != 0) GTEST_SKIP() << "only root can give it away";
  EXPECT_EQ(error_at(path), EPERM);
}

TEST_F(RuntimeDirectoryTest, IsNoLinkAndNoFile) {
  const std::string path = directory_ / "link";
  ASSERT_EQ(::symlink(directory_.path().c_str(), path.c_str()), 0);
  EXPECT_EQ(error_at(path), ENOTDIR);
  write_file(directory_ / "file", "");
  EXPECT_EQ(error_at(directory_ / "file"), ENOTDIR);
  EXPECT_EQ(error_at(directory_ / "none/none"), ENOENT);
}

}  // namespace
}  // namespace prewarm::os
