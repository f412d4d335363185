// SPDX-License-Identifier: MIT
#include "os/program.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "os/testing.h"

namespace prewarm::os {
namespace {

namespace fs = std::filesystem;

class FindProgramTest : public testing::Test {
 protected:
  FindProgramTest() {
    fs::create_directories(first_ + "/tool");  // a directory of that name
    fs::create_directories(second_);
    fs::create_directories(third_);
    write_file(second_ + "/tool", "not executable");
    write_file(third_ + "/tool", "#!/bin/sh\n");
    ::chmod((second_ + "/tool").c_str(), 0644);
    ::chmod((third_ + "/tool").c_str(), 0755);
  }
  ~FindProgramTest() override { fs::current_path(before_); }

  const fs::path before_ = fs::current_path();
  const TempDirectory root_;
  const std::string first_ = root_ / "first";
  const std::string second_ = root_ / "second";
  const std::string third_ = root_ / "third";
};

TEST_F(FindProgramTest, IsTheFirstThatCanBeExecuted) {
  const std::string others = root_ / "none" + ":" + first_ + ":" + second_;
  EXPECT_EQ(find_program("tool", others + ":" + third_), third_ + "/tool");
  EXPECT_EQ(find_program("tool", others), "");
  EXPECT_EQ(find_program("other", third_), "");
  EXPECT_EQ(find_program("", third_), "");
}

TEST_F(FindProgramTest, AnEmptyElementIsTheWorkingDirectory) {
  fs::current_path(third_);
  EXPECT_EQ(find_program("tool", ":/nowhere"), "./tool");
  EXPECT_EQ(find_program("tool", "/nowhere::/none"), "./tool");
  EXPECT_EQ(find_program("tool", "/nowhere:"), "./tool");
  EXPECT_EQ(find_program("tool", ""), "./tool");
}

TEST_F(FindProgramTest, RelativeElementsCanBeLeftOut) {
  fs::current_path(third_);
  EXPECT_EQ(find_program("tool", "../third"), "../third/tool");
  EXPECT_EQ(find_program("tool", ":../third", Relative::left_out), "");
  EXPECT_EQ(find_program("tool", ":../third:" + third_, Relative::left_out), third_ + "/tool");
}

TEST_F(FindProgramTest, ANameWithASlashIsNotLookedFor) {
  EXPECT_EQ(find_program("some/tool", third_), "some/tool");
}

TEST_F(FindProgramTest, AProgramIsAFileThatCanBeExecuted) {
  EXPECT_TRUE(is_program(third_ + "/tool"));
  EXPECT_FALSE(is_program(second_ + "/tool"));
  EXPECT_FALSE(is_program(first_ + "/tool"));
  EXPECT_FALSE(is_program(""));
}

}  // namespace
}  // namespace prewarm::os
