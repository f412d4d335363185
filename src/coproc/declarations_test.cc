// SPDX-License-Identifier: MIT
#include "coproc/declarations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/testing.h"

namespace prewarm::coproc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Declarations parsed(std::string_view text) {
  auto result = parse_declarations(text, "file.toml");
  if (!result) ADD_FAILURE() << result.error();
  return result ? std::move(*result) : Declarations{};
}

std::string error_of(std::string_view text) {
  const auto result = parse_declarations(text, "file.toml");
  return result ? "nothing wrong" : result.error();
}

// A variable as it is to be during a test, and back afterwards.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(old_ ? old_->c_str() : nullptr); }

 private:
  void set(const char* value) const {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }

  const char* name_;
  std::optional<std::string> old_;
};

TEST(DeclarationsTest, NothingDeclaresNothing) {
  const auto none = parsed("");
  EXPECT_TRUE(none.commands.empty());
  EXPECT_EQ(none.limits, Limits{});
}

TEST(DeclarationsTest, ACommandWithoutKeysHasTheDefaults) {
  const auto file = parsed("[command.tool]\n");
  ASSERT_EQ(file.commands.size(), 1U);
  Declaration expected;
  expected.name = "tool";
  EXPECT_EQ(file.commands[0], expected);
}

TEST(DeclarationsTest, EveryKeyIsRead) {
  const auto file = parsed(R"(
    [limits]
    workers = 7
    idle-seconds = 0

    [command."/opt/my tool"]
    run = ["python3", "/opt/tool.py", ""]
    protocol = "bazel-json"
    adapter-options = ["--multiplex", "4"]
    workers = 1024
    spare = 3
    requests = 1000
    memory-mib = 512
    idle-seconds = 5
    start-seconds = 6
    timeout-seconds = 7
    stdin = false
    environment = ["LANG", "LC_*"]
    per-directory = true
    affinity = "argument-2"
  )");
  EXPECT_EQ(file.limits, (Limits{.workers = 7, .idle_seconds = 0}));
  const Declaration expected{.name = "/opt/my tool",
                             .run = {"python3", "/opt/tool.py", ""},
                             .protocol = Protocol::bazel_json,
                             .adapter_options = {"--multiplex", "4"},
                             .workers = 1024,
                             .spare = 3,
                             .max_requests = 1000,
                             .max_mib = 512,
                             .idle_seconds = 5,
                             .start_seconds = 6,
                             .timeout_seconds = 7,
                             .takes_stdin = false,
                             .environment = {"LANG", "LC_*"},
                             .by_directory = true,
                             .affinity = "argument-2"};
  EXPECT_THAT(file.commands, ElementsAre(expected));
}

TEST(DeclarationsTest, EveryProtocolHasAName) {
  for (const auto protocol :
       {Protocol::automatic, Protocol::capers, Protocol::fcli, Protocol::bazel_json,
        Protocol::bazel_proto, Protocol::ready, Protocol::batch}) {
    const auto file =
        parsed(std::string("[command.a]\nprotocol = '") + protocol_name(protocol) + "'\n");
    ASSERT_EQ(file.commands.size(), 1U);
    EXPECT_EQ(file.commands[0].protocol, protocol);
  }
}

TEST(DeclarationsTest, APathIsFoundBeforeAName) {
  const auto file = parsed("[command.tool]\n[command.'/opt/bin/tool']\n[command.'/opt/bin/x']\n");
  EXPECT_EQ(file.find("tool", "/opt/bin/tool")->name, "/opt/bin/tool");
  EXPECT_EQ(file.find("tool", "/usr/bin/tool")->name, "tool");
  EXPECT_EQ(file.find("./somewhere/tool", "/tmp/somewhere/tool")->name, "tool");
  EXPECT_EQ(file.find("other", "/opt/bin/x")->name, "/opt/bin/x");
  EXPECT_EQ(file.find("other", "/usr/bin/tool"), nullptr);
  EXPECT_EQ(file.find("/opt/bin/x", "/usr/bin/x"), nullptr);
  EXPECT_EQ(file.find("tool/", ""), nullptr);
  EXPECT_EQ(file.find("", ""), nullptr);
  EXPECT_EQ(file.find("x", "tool"), nullptr);
}

TEST(DeclarationsTest, AnUnknownKeySuggestsTheNearest) {
  EXPECT_EQ(error_of("[command.a]\n\nworker = 3\n"),
            "file.toml:3: command.a.worker: no such key; is workers meant?");
  EXPECT_EQ(error_of("[command.a]\nmemory_mib = 3\n"),
            "file.toml:2: command.a.memory_mib: no such key; is memory-mib meant?");
  EXPECT_EQ(error_of("[limit]\n"), "file.toml:1: limit: no such key; is limits meant?");
  EXPECT_EQ(error_of("[limits]\nspare = 3\n"),
            "file.toml:2: limits.spare: no such key; there are workers idle-seconds");
  EXPECT_THAT(error_of("[command.a]\nnonsense = 3\n"), HasSubstr("there are protocol affinity"));
}

TEST(DeclarationsTest, AnErrorSaysWhatIsExpected) {
  EXPECT_EQ(error_of("[command.a]\nworkers = 0\n"),
            "file.toml:2: command.a.workers: 0 is not what is expected: an integer from 1 to 1024");
  EXPECT_EQ(
      error_of("[command.a]\nworkers = 'many'\n"),
      "file.toml:2: command.a.workers: \"many\" is not what is expected: an integer from 1 to "
      "1024");
  EXPECT_EQ(error_of("[command.a]\nprotocol = 'http'\n"),
            "file.toml:2: command.a.protocol: \"http\" is not what is expected: one of \"auto\" "
            "\"capers\" \"fcli\" \"bazel-json\" \"bazel-proto\" \"ready\" \"batch\"");
  EXPECT_EQ(error_of("[command.a]\nstdin = 1\n"),
            "file.toml:2: command.a.stdin: 1 is not what is expected: true or false");
}

TEST(DeclarationsTest, WrongKindsAndFormsAreErrors) {
  const char* const wrong[] = {
      "command = 1",
      "limits = []",
      "[command]\na = 'capers'",
      "[command.a]\nrun = 'python3 tool.py'",
      "[command.a]\nrun = []",
      "[command.a]\nrun = ['python3', 3]",
      "[command.a]\nrun = ['a\\u0000b']\n[command.b]\nrun = [\"a\\u0000b\"]",
      "[command.a]\nrun = ['bin/tool']",
      "[command.a]\nrun = ['']",
      "[command.a]\nworkers = -1",
      "[command.a]\nworkers = 4294967300",
      "[command.a]\nworkers = 4.0",
      "[command.a]\nspare = 5",
      "[command.a]\nprotocol = 1",
      "[command.a]\naffinity = 'argument-0'",
      "[command.a]\naffinity = 'argument-10'",
      "[command.a]\naffinity = true",
      "[command.a]\nenvironment = ['A=B']",
      "[command.a]\nenvironment = ['*']",
      "[command.a]\nenvironment = ['A*B']",
      "[command.'bin/a']",
      "[command.'/bin/']",
      "[command.'']",
      "[command.\"a\\nb\"]",
      "[command.a]\n[command.a]",
      "[command.a",
      "\xff",
  };
  for (const char* text : wrong) {
    EXPECT_THAT(error_of(text), StartsWith("file.toml:")) << text;
    EXPECT_EQ(error_of(text).find('\n'), std::string::npos) << text;
  }
}

TEST(DeclarationsTest, TheFileIsWhereItIsConfigured) {
  const Variable home("HOME", "/home/ann");
  const Variable config("XDG_CONFIG_HOME", nullptr);
  const Variable own("PREWARM_DECLARATIONS", nullptr);
  EXPECT_EQ(declarations_path(), "/home/ann/.config/prewarm/coprocesses.toml");
  {
    const Variable relative("XDG_CONFIG_HOME", "config");
    EXPECT_EQ(declarations_path(), "/home/ann/.config/prewarm/coprocesses.toml");
  }
  {
    const Variable elsewhere("XDG_CONFIG_HOME", "/etc/ann");
    EXPECT_EQ(declarations_path(), "/etc/ann/prewarm/coprocesses.toml");
    const Variable named("PREWARM_DECLARATIONS", "here.toml");
    EXPECT_EQ(declarations_path(), "here.toml");
  }
  const Variable homeless("HOME", nullptr);
  EXPECT_EQ(declarations_path(), "");
}

TEST(DeclarationsTest, AMissingFileDeclaresNothing) {
  const os::TempDirectory directory;
  for (const std::string& path : {std::string(), directory / "none", directory / "none/none"}) {
    const auto file = read_declarations(path);
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_TRUE(file->commands.empty());
  }
}

TEST(DeclarationsTest, AFileIsReadOrItsErrorNamesIt) {
  const os::TempDirectory directory;
  const std::string path = directory / "file.toml";
  os::write_file(path, "[command.a]\n[command.b]\n");
  const auto good = read_declarations(path);
  ASSERT_TRUE(good) << good.error().message();
  EXPECT_EQ(good->commands.size(), 2U);

  os::write_file(path, "[command.a]\nworkers = true\n");
  const auto bad = read_declarations(path);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message(), HasSubstr(path + ":2: command.a.workers: "));

  const auto unreadable = read_declarations(directory.path());
  ASSERT_FALSE(unreadable);
  EXPECT_EQ(unreadable.error().code, EISDIR);

  os::write_file(path, std::string((1 << 20) + 1, '#'));
  const auto large = read_declarations(path);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, EFBIG);
}

}  // namespace
}  // namespace prewarm::coproc
