// SPDX-License-Identifier: MIT
#include "coproc/start_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "os/testing.h"

namespace prewarm::coproc {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ProtocolInTextTest, IsWhatTheToolSaysOfItself) {
  EXPECT_EQ(protocol_in_text("#!/usr/bin/python3\nprewarm.ready()\n"), Protocol::ready);
  EXPECT_EQ(protocol_in_text("#!/usr/bin/python3\nprewarm.serve(main)\n"), Protocol::capers);
  EXPECT_EQ(protocol_in_text("import os; os.environ['CAPERS_FD']"), Protocol::capers);
  EXPECT_EQ(protocol_in_text("\x7f"
                             "ELF prewarm_ready"),
            Protocol::ready);
  EXPECT_EQ(protocol_in_text("\x7f"
                             "ELF prewarm_serve"),
            Protocol::capers);
  EXPECT_EQ(protocol_in_text("getenv FCLI_REQUEST_FIFO"), Protocol::fcli);
  EXPECT_EQ(protocol_in_text("#!/usr/bin/python3\nimport prewarm\n"), Protocol::batch);
  EXPECT_EQ(protocol_in_text(""), Protocol::batch);
}

TEST(ProtocolInTextTest, OfAShellScriptIsFcliOrNone) {
  for (const char* line : {"#!/bin/sh", "#!/bin/sh -e", "#!/usr/bin/env bash", "#! /bin/dash"}) {
    const std::string head = std::string(line) + "\n";
    EXPECT_EQ(protocol_in_text(head + "prewarm_serve main\n"), Protocol::fcli) << line;
    EXPECT_EQ(protocol_in_text(head + "read x <\"$FCLI_REQUEST_FIFO\"\n"), Protocol::fcli) << line;
    EXPECT_EQ(protocol_in_text(head + "echo \"$CAPERS_FD\"\n"), Protocol::batch) << line;
  }
  EXPECT_EQ(protocol_in_text("#!/usr/bin/shiny\nprewarm_serve\n"), Protocol::capers);
}

class StartPlanTest : public os::LeavesNothing {
 protected:
  StartPlanTest() {
    os::write_file(tool_, "#!/usr/bin/python3\nprewarm.serve(main)\n");
    ::chmod(tool_.c_str(), 0755);
  }

  Invocation invocation(std::vector<std::string> environment = {}) const {
    Invocation made;
    made.arguments = {"tool", "one", "two"};
    made.directory = "/usr";
    made.clear_environment = true;
    made.environment = std::move(environment);
    made.program = tool_;
    return made;
  }
  Invocation declared(const std::string& text) const {
    os::write_file(file_, text);
    Invocation made = invocation();
    made.declarations = file_;
    return made;
  }
  StartPlan plan(const Invocation& asked) {
    auto made = planner_.plan(asked);
    if (!made) ADD_FAILURE() << made.error().message;
    return made ? std::move(*made) : StartPlan{};
  }
  std::string key(const Invocation& asked) { return plan(asked).key; }

  const os::TempDirectory directory_;
  const std::string tool_ = directory_ / "tool";
  const std::string file_ = directory_ / "coprocesses.toml";
  Planner planner_{"/opt/prewarm"};
};

TEST_F(StartPlanTest, AToolThatServesIsStartedItself) {
  const auto made = plan(invocation({"A=1"}));
  EXPECT_THAT(made.command, ElementsAre(tool_));
  EXPECT_EQ(made.declaration.protocol, Protocol::capers);
  EXPECT_EQ(made.directory, "/");
  EXPECT_THAT(made.environment, ElementsAre("A=1"));
}

TEST_F(StartPlanTest, WhatIsTheSameHasTheSameKey) {
  auto other = invocation({"B=2", "PATH=/bin", "LANG=C", "A=1"});
  other.arguments = {"tool", "three"};
  other.directory = "/var";
  other.umask = 077;
  EXPECT_EQ(key(invocation({"LANG=C", "PATH=/bin"})), key(other));
}

TEST_F(StartPlanTest, AVariableThatMattersIsInTheKey) {
  const auto before = key(invocation({"PATH=/bin"}));
  for (const char* variable : {"LANG=C", "LC_TIME=C", "PYTHONPATH=/opt", "HOME=/root", "TZ=UTC"}) {
    EXPECT_NE(key(invocation({"PATH=/bin", variable})), before) << variable;
  }
  for (const char* variable : {"LANGUAGES=C", "PWD=/", "SHLVL=2", "TZX=UTC"}) {
    EXPECT_EQ(key(invocation({"PATH=/bin", variable})), before) << variable;
  }
}

TEST_F(StartPlanTest, WhichVariablesMatterCanBeDeclared) {
  auto asked = declared("[command.tool]\nenvironment = ['OWN', 'MY_*']\n");
  const auto before = key(asked);
  asked.environment = {"LANG=C", "OWNER=a"};
  EXPECT_EQ(key(asked), before);
  asked.environment = {"OWN=1"};
  EXPECT_NE(key(asked), before);
  asked.environment = {"MY_OWN=1"};
  EXPECT_NE(key(asked), before);
}

TEST_F(StartPlanTest, AChangedFileIsAnother) {
  const auto before = key(invocation());
  os::write_file(tool_, "#!/usr/bin/python3\nprewarm.serve(main) # changed\n");
  EXPECT_NE(key(invocation()), before);
  os::write_file(tool_, "#!/usr/bin/python3\n");
  const auto none = planner_.plan(invocation());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().reason, "batch");
  EXPECT_FALSE(none.error().was_run());
}

TEST_F(StartPlanTest, WhatIsInADirectoryOfTheCommandDoesNotMatter) {
  const auto asked =
      declared("[command.tool]\nrun = ['" + tool_ + "', '" + directory_.path() + "']\n");
  const auto before = key(asked);
  os::write_file(directory_ / "new", "");
  EXPECT_EQ(key(asked), before);
}

TEST_F(StartPlanTest, ADirectoryMattersIfThatIsDeclared) {
  auto asked = declared("[command.tool]\nper-directory = true\n");
  const auto before = plan(asked);
  EXPECT_EQ(before.directory, "/usr");
  asked.directory = "/var";
  EXPECT_NE(key(asked), before.key);
}

TEST_F(StartPlanTest, BazelsWorkersAreOfOneDirectoryAndUmask) {
  auto asked = declared("[command.tool]\nprotocol = 'bazel-json'\nstart-seconds = 10\n");
  asked.umask = 027;
  const auto before = plan(asked);
  EXPECT_EQ(before.directory, "/usr");
  EXPECT_THAT(before.command, ElementsAre("/opt/prewarm", "adapt", "bazel-json", "--start-seconds",
                                          "9", "--umask", "0027", "--", tool_));
  asked.umask = 022;
  EXPECT_NE(key(asked), before.key);
}

TEST_F(StartPlanTest, AnAdapterIsToldWhatIsDeclared) {
  const auto made =
      plan(declared("[command.tool]\nprotocol = 'fcli'\nstdin = false\n"
                    "adapter-options = ['--more']\nrun = ['" +
                    tool_ + "', 'work']\n"));
  EXPECT_THAT(made.command, ElementsAre("/opt/prewarm", "adapt", "fcli", "--no-stdin",
                                        "--start-seconds", "29", "--more", "--", tool_, "work"));
}

TEST_F(StartPlanTest, ModulesToPreloadAreInTheKey) {
  auto asked = invocation();
  const auto without = key(asked);
  asked.preload = "json,ssl";
  const auto made = plan(asked);
  EXPECT_NE(made.key, without);
  EXPECT_EQ(made.declaration.protocol, Protocol::ready);
  ASSERT_EQ(made.command.size(), 9U);
  EXPECT_THAT(made.command, Contains("--keep"));
  EXPECT_EQ(made.command[6], tool_);
  EXPECT_THAT(made.command[7], HasSubstr("prewarm/preload.py"));
  EXPECT_EQ(made.command[8], "json,ssl");
  asked.preload = "json";
  EXPECT_NE(key(asked), made.key);
}

TEST_F(StartPlanTest, AffinityIsNotInTheKey) {
  auto asked = declared("[command.tool]\naffinity = 'argument-2'\n");
  const auto before = plan(asked);
  EXPECT_EQ(before.affinity, "two");
  asked.arguments.pop_back();
  EXPECT_EQ(plan(asked).affinity, "");
  asked.affinity = "own";
  EXPECT_EQ(plan(asked).affinity, "own");
  EXPECT_EQ(key(asked), before.key);
  EXPECT_EQ(plan(declared("[command.tool]\naffinity = 'directory'\n")).affinity, "/usr");
}

TEST_F(StartPlanTest, WhatIsDeclaredIsAWorkerWhateverItSays) {
  os::write_file(tool_, "#!/usr/bin/python3\n");
  EXPECT_FALSE(planner_.plan(invocation()));
  EXPECT_EQ(plan(declared("[command.tool]\n")).declaration.protocol, Protocol::capers);
  EXPECT_FALSE(planner_.plan(declared("[command.tool]\nprotocol = 'batch'\n")));
}

TEST_F(StartPlanTest, TheCommandIsAProgramOnTheRequestsPath) {
  std::filesystem::create_directories(directory_ / "first" + "/tool");
  auto asked = declared("[command.tool]\nrun = ['tool']\n");
  asked.environment = {"PATH=" + (directory_ / "first") + ":" + directory_.path()};
  EXPECT_THAT(plan(asked).command, ElementsAre(tool_));
  // The owner is in another directory than who asks.
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  asked.environment = {"PATH=:.:first/.."};
  EXPECT_FALSE(planner_.plan(asked));
  std::filesystem::current_path(before);
}

TEST_F(StartPlanTest, ARequestSaysHowManyWorkers) {
  auto asked = declared("[command.tool]\nworkers = 7\n[limits]\nworkers = 9\n");
  EXPECT_EQ(plan(asked).declaration.workers, 7U);
  EXPECT_EQ(planner_.limits().workers, 9U);
  asked.workers = 2;
  EXPECT_EQ(plan(asked).declaration.workers, 2U);
}

TEST_F(StartPlanTest, AWrongFileIsRefusedUntilItIsMended) {
  const auto refused = planner_.plan(declared("[command.tool]\nworkers = 0\n"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "refused");
  EXPECT_THAT(refused.error().message, HasSubstr(file_ + ":2: command.tool.workers"));
  EXPECT_TRUE(planner_.plan(declared("[command.tool]\nworkers = 11\n")));
}

TEST_F(StartPlanTest, WithoutAProgramThereIsNone) {
  auto asked = invocation();
  asked.program.clear();
  const auto refused = planner_.plan(asked);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "message");
}

}  // namespace
}  // namespace prewarm::coproc
