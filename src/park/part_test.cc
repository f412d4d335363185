// SPDX-License-Identifier: MIT
#include "park/part.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "os/testing.h"

namespace prewarm::park {
namespace {

constexpr char kLoadable[] = PREWARM_TEST_BUILD_DIR "/prewarm.so";

class PartTest : public ::testing::Test {
 protected:
  // Whether a file with these bytes is taken for the agent.
  bool is_agent(const std::string& bytes) const {
    const std::string path = ::testing::TempDir() + "part_test_" + std::to_string(::getpid());
    std::ofstream(path, std::ios::binary) << bytes;
    const bool result = is_part(path.c_str(), Part::agent);
    std::filesystem::remove(path);
    return result;
  }
  const std::string agent_ = os::read_file(PREWARM_TEST_AGENT);
};

TEST_F(PartTest, KnowsAgentAndLoadable) {
  EXPECT_TRUE(is_part(PREWARM_TEST_AGENT, Part::agent));
  EXPECT_TRUE(is_part(kLoadable, Part::loadable));
  EXPECT_TRUE(is_agent(agent_));
}

TEST_F(PartTest, OneIsNotTheOther) {
  EXPECT_FALSE(is_part(kLoadable, Part::agent));
  EXPECT_FALSE(is_part(PREWARM_TEST_AGENT, Part::loadable));
}

TEST_F(PartTest, TakesNothingElse) {
  for (const char* path : {"/bin/true", "/lib64/ld-linux-x86-64.so.2", "/usr", "/dev/null",
                           "/nonexistent", "/etc/passwd", ""}) {
    EXPECT_FALSE(is_part(path, Part::agent)) << path;
  }
  EXPECT_FALSE(is_agent(""));
  EXPECT_FALSE(is_agent("not a program\n"));
}

TEST_F(PartTest, TakesNoPieces) {
  for (std::size_t size = 0; size < agent_.size(); size += size < 4096 ? 61 : 997) {
    EXPECT_FALSE(is_agent(agent_.substr(0, size))) << size << " of " << agent_.size() << " bytes";
  }
  EXPECT_FALSE(is_agent(agent_.substr(0, agent_.size() - 1)));
}

TEST_F(PartTest, TakesNoOtherVersion) {
  const PartNote note{.part = Part::agent};
  const std::string bytes(reinterpret_cast<const char*>(&note), sizeof note);
  const auto at = agent_.find(bytes);
  ASSERT_NE(at, std::string::npos);
  std::string other = agent_;
  ++other[at + offsetof(PartNote, version)];
  EXPECT_FALSE(is_agent(other));
}

TEST_F(PartTest, StandsOddHeaders) {
  std::string odd = agent_;
  Elf64_Ehdr header;
  std::memcpy(&header, odd.data(), sizeof header);
  for (const std::uint64_t offset : {~std::uint64_t{0}, ~std::uint64_t{0} - 55, agent_.size()}) {
    Elf64_Ehdr changed = header;
    changed.e_phoff = offset;
    std::memcpy(odd.data(), &changed, sizeof changed);
    EXPECT_FALSE(is_agent(odd));
    changed = header;
    changed.e_shoff = offset;
    std::memcpy(odd.data(), &changed, sizeof changed);
    EXPECT_FALSE(is_agent(odd));
  }
}

// What bash's file is like, and what becomes of it under a change.
class FitsIntoTest : public ::testing::Test {
 protected:
  bool fits(const std::string& bash) const {
    os::write_file(directory_ / "bash", bash);
    return fits_into(kLoadable, (directory_ / "bash").c_str());
  }
  const os::TempDirectory directory_;
  const std::string bash_ = os::read_file("/bin/bash");
};

TEST_F(FitsIntoTest, TheLoadableFitsIntoBash) {
  EXPECT_TRUE(fits_into(kLoadable, "/bin/bash"));
  EXPECT_TRUE(fits(bash_));
}

TEST_F(FitsIntoTest, AndIntoNothingElse) {
  constexpr char kStatic[] = PREWARM_TEST_BUILD_DIR "/prewarm";
  for (const char* path : {"/bin/sh", "/bin/true", kStatic, kLoadable, "/usr", "/dev/null",
                           "/nonexistent", "/etc/passwd", ""}) {
    EXPECT_FALSE(fits_into(kLoadable, path)) << path;
  }
  EXPECT_FALSE(fits("#!/bin/sh\nexec /bin/bash \"$@\"\n"));
}

TEST_F(FitsIntoTest, EachFunctionAndVariableMustBeThere) {
  for (const std::string name : {"command_substitute", "js", "dist_version", "shopt_builtin"}) {
    std::string changed = bash_;
    const auto at = changed.find('\0' + name + '\0');
    ASSERT_NE(at, std::string::npos) << name;
    ++changed[at + name.size()];
    EXPECT_FALSE(fits(changed)) << "without " << name;
  }
}

TEST_F(FitsIntoTest, NothingIsPreloadedWherePrivilegesChange) {
  EXPECT_TRUE(fits(bash_));
  for (const mode_t mode : {S_ISUID, S_ISGID}) {
    ASSERT_EQ(::chmod((directory_ / "bash").c_str(), 0755 | mode), 0);
    EXPECT_FALSE(fits_into(kLoadable, (directory_ / "bash").c_str())) << mode;
  }
}

TEST_F(FitsIntoTest, StandsPieces) {
  // What is needed lies in the first third: what is cut off behind that makes no difference here.
  for (std::size_t size = 0; size < bash_.size() / 8; size += size < 4096 ? 61 : 4999) {
    EXPECT_FALSE(fits(bash_.substr(0, size))) << size << " of " << bash_.size() << " bytes";
  }
}

}  // namespace
}  // namespace prewarm::park
