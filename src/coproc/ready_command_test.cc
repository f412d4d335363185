// SPDX-License-Identifier: MIT
#include "coproc/ready_command.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "os/testing.h"

namespace prewarm::coproc {
namespace {

using Words = std::vector<std::string>;

class ReadyCommandTest : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0755) {
    const std::string path = directory_ / name;
    os::write_file(path, text);
    ::chmod(path.c_str(), mode);
    return path;
  }
  ReadyCommand resolve(const Words& command, std::optional<std::size_t> keep = {}) {
    auto found = resolve_ready_command(command, directory_.path().c_str(), keep);
    EXPECT_TRUE(found.has_value()) << found.error().message();
    return found.value_or(ReadyCommand{});
  }
  bool is_found(const Words& command) {
    return resolve_ready_command(command, directory_.path().c_str(), {}).has_value();
  }

 private:
  os::TempDirectory directory_;
};

TEST_F(ReadyCommandTest, AProgramTakesTheInvocationsArguments) {
  const std::string tool = write("tool", "\177ELF");
  const auto found = resolve({"tool"});
  EXPECT_EQ(found.program, tool);
  EXPECT_EQ(found.start, tool);
  EXPECT_EQ(found.words, Words({"tool"}));
  EXPECT_EQ(found.with({"called", "a"}), Words({"called", "a"}));
  EXPECT_EQ(found.to_start({"called", "a"}), Words({"called", "a"}));
  EXPECT_EQ(resolve({tool}).program, tool);
}

TEST_F(ReadyCommandTest, AnInterpreterStaysInFrontOfThem) {
  write("python3", "\177ELF");
  const auto found = resolve({"python3", "-u", "tool.py"});
  EXPECT_EQ(found.words, Words({"python3", "-u", "tool.py"}));
  EXPECT_EQ(found.with({"tool", "a"}), Words({"python3", "-u", "tool", "a"}));
  EXPECT_EQ(found.to_start({"tool", "a"}), Words({"python3", "-u", "tool.py", "a"}));
}

TEST_F(ReadyCommandTest, SoManyWordsAreKeptAsOneWants) {
  write("python3", "\177ELF");
  const auto none = resolve({"python3", "-m", "x"}, 0);
  EXPECT_EQ(none.with({"python3", "a"}), Words({"python3", "a"}));
  EXPECT_EQ(none.to_start({"python3", "a"}), Words({"python3", "a"}));
  EXPECT_EQ(resolve({"python3", "-m", "x"}, 3).with({"a"}), Words({"python3", "-m", "x", "a"}));
  EXPECT_EQ(resolve({"python3"}, 7).with({"a"}), Words({"python3", "a"}));
}

TEST_F(ReadyCommandTest, AScriptIsStartedByTheKernel) {
  const std::string interpreter = write("interpreter", "\177ELF");
  const std::string script = write("script", "#! " + interpreter + "  -a -b \nrest");
  const auto found = resolve({"script"});
  EXPECT_EQ(found.program, interpreter);
  EXPECT_EQ(found.start, script);
  EXPECT_EQ(found.words, Words({interpreter, "-a -b", script}));
  EXPECT_EQ(found.with({script, "x"}), Words({interpreter, "-a -b", script, "x"}));
  EXPECT_EQ(found.to_start({"name", "x"}), Words({"name", "x"}));
}

TEST_F(ReadyCommandTest, EnvIsLeftOut) {
  const std::string interpreter = write("python3", "\177ELF");
  const std::string script = write("script", "#!/usr/bin/env python3\n");
  const auto found = resolve({"script"});
  EXPECT_EQ(found.program, interpreter);
  EXPECT_EQ(found.start, interpreter);
  EXPECT_EQ(found.words, Words({"python3", script}));
  EXPECT_EQ(found.with({"script", "x"}), Words({"python3", "script", "x"}));
}

TEST_F(ReadyCommandTest, WhatIsNotThereIsAnError) {
  write("plain", "\177ELF", 0644);
  write("nothing-behind-env", "#!/usr/bin/env no-such-program\n");
  write("no-interpreter", "#!/no/such/interpreter\n");
  EXPECT_FALSE(is_found({"missing"}));
  EXPECT_FALSE(is_found({""}));
  EXPECT_FALSE(is_found({"plain"}));
  EXPECT_FALSE(is_found({"nothing-behind-env"}));
  EXPECT_FALSE(is_found({"no-interpreter"}));
}

}  // namespace
}  // namespace prewarm::coproc
