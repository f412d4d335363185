// SPDX-License-Identifier: GPL-3.0-or-later
#include "bash/limits.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "os/testing.h"

namespace prewarm::bash {
namespace {

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

class GroupLimitTest : public ::testing::Test {
 protected:
  void set(const std::string& file, const std::string& text) {
    const std::filesystem::path path = temp_ / file;
    std::filesystem::create_directories(path.parent_path());
    os::write_file(path, text + "\n");
  }
  std::uint64_t limit(const std::string& groups) const {
    return group_limit(kGroupMemory, groups, temp_.path());
  }

  const std::string& root() const { return root_; }

 private:
  os::TempDirectory temp_;
  const std::string root_ = temp_.path();
};

TEST_F(GroupLimitTest, OfVersion2) {
  set("a/memory.max", "max");
  EXPECT_EQ(limit("0::/a\n"), kNone);
  set("a/memory.max", "4096000");
  EXPECT_EQ(limit("0::/a\n"), 4096000U);
  EXPECT_EQ(limit("0::/a"), 4096000U);
  EXPECT_EQ(limit("0::/\n"), kNone);
  EXPECT_EQ(limit("0::/b\n"), kNone);
}

TEST_F(GroupLimitTest, OfVersion1) {
  set("memory/a/memory.limit_in_bytes", "9223372036854771712");
  EXPECT_EQ(limit("3:cpu,cpuacct:/a\n2:memory:/a\n0::/x\n"), 9223372036854771712U);
  set("memory/a/memory.limit_in_bytes", "8192");
  EXPECT_EQ(limit("3:cpu,cpuacct:/a\n2:memory:/a\n0::/x\n"), 8192U);
  EXPECT_EQ(limit("2:hugetlb,memory:/a\n"), 8192U);
  EXPECT_EQ(limit("2:memory:/\n3:name=memory:/a\n4:xmemory:/a\n"), kNone);
}

TEST_F(GroupLimitTest, TheTightestOnTheWayUpCounts) {
  set("a/b/c/memory.max", "3000");
  set("a/memory.max", "2000");
  EXPECT_EQ(limit("0::/a/b/c\n"), 2000U);
  set("memory.max", "1000");
  EXPECT_EQ(limit("0::/a/b/c\n"), 1000U);
  EXPECT_EQ(limit("0::/\n"), 1000U);
}

// As in a container that sees its own group as the root, but names by which the host knows it.
TEST_F(GroupLimitTest, AGroupThatCanNotBeSeenHasTheLimitOfTheRoot) {
  set("memory/memory.limit_in_bytes", "5000");
  EXPECT_EQ(limit("2:memory:/docker/0123\n"), 5000U);
}

TEST_F(GroupLimitTest, OfProcesses) {
  const auto processes = [this](const char* groups) {
    return group_limit(kGroupProcesses, groups, root());
  };
  set("pids/a/pids.max", "7");
  set("b/pids.max", "9");
  EXPECT_EQ(processes("2:pids:/a\n0::/b\n"), 7U);
  EXPECT_EQ(processes("0::/b\n"), 9U);
  EXPECT_EQ(processes("2:memory:/a\n"), kNone);
}

TEST_F(GroupLimitTest, OddLinesSayNothing) {
  EXPECT_EQ(limit(""), kNone);
  EXPECT_EQ(limit("\n\n:\n::\n0:\nx\n"), kNone);
  set("memory.max", "");
  EXPECT_EQ(limit("0::/\n"), kNone);
}

}  // namespace
}  // namespace prewarm::bash
