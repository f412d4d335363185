// SPDX-License-Identifier: MIT
#include "coproc/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "os/testing.h"

namespace prewarm::coproc {
namespace {

using ::testing::ElementsAre;

class InvocationFromHereTest : public ::testing::Test {
 protected:
  InvocationFromHereTest() : before_(std::filesystem::current_path()) {
    os::write_file(directory_ / "script", "#!/bin/sh\n");
    os::write_file(directory_ / "program",
                   "\x7f"
                   "ELF");
    std::filesystem::current_path(directory_.path());
  }
  ~InvocationFromHereTest() override { std::filesystem::current_path(before_); }

  static os::Result<Invocation> make(const std::string& path, std::string variable = "A=b=c") {
    std::string name = "name";
    std::string empty;
    char* const argv[] = {name.data(), empty.data(), nullptr};
    char* const env[] = {variable.data(), nullptr};
    return invocation_from_here(path, argv, env);
  }

  const os::TempDirectory directory_;
  const std::filesystem::path before_;
};

TEST_F(InvocationFromHereTest, HasWhatAnExecWouldHave) {
  const mode_t mask = ::umask(037);
  const auto made = make("./program");
  EXPECT_EQ(::umask(mask), 037U);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_THAT(made->arguments, ElementsAre("name", ""));
  EXPECT_THAT(made->environment, ElementsAre("A=b=c"));
  EXPECT_TRUE(made->clear_environment);
  EXPECT_EQ(made->directory, std::filesystem::current_path().string());
  EXPECT_EQ(made->umask, 037U);
}

TEST_F(InvocationFromHereTest, NamesOfAFileLeadToOnePath) {
  const std::string path = std::filesystem::current_path().string() + "/program";
  for (const std::string& name :
       {std::string("program"), std::string("./program"), std::string("././program"), path}) {
    const auto made = make(name);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->program, path) << name;
  }
}

TEST_F(InvocationFromHereTest, AScriptIsToldItsPath) {
  EXPECT_THAT(make("./script")->arguments, ElementsAre("./script", ""));
  EXPECT_THAT(make(directory_ / "script")->arguments, ElementsAre(directory_ / "script", ""));
  EXPECT_THAT(make("none")->arguments, ElementsAre("name", ""));
}

TEST_F(InvocationFromHereTest, WhatIsNoVariableIsAnError) {
  for (const char* entry : {"", "NAME", "=value"}) {
    const auto made = make("program", entry);
    ASSERT_FALSE(made) << entry;
    EXPECT_EQ(made.error().code, EINVAL);
  }
}

TEST_F(InvocationFromHereTest, WithoutADirectoryIsAnError) {
  const std::string gone = directory_ / "gone";
  ASSERT_EQ(::mkdir(gone.c_str(), 0700), 0);
  std::filesystem::current_path(gone);
  ASSERT_EQ(::rmdir(gone.c_str()), 0);
  EXPECT_FALSE(make("/bin/true"));
}

}  // namespace
}  // namespace prewarm::coproc
