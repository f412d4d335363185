// SPDX-License-Identifier: MIT
#include "cold/command_chain.h"

#include <gtest/gtest.h>
#include <limits.h>

#include <cerrno>
#include <vector>

namespace prewarm::cold {
namespace {

using Places = std::vector<std::string>;

// In order, by code.
std::vector<OperationCode> codes(const CommandChain& chain) {
  std::vector<OperationCode> row;
  for (const Operation& operation : chain.operations()) row.push_back(operation.code);
  return row;
}

class CommandChainTest : public ::testing::Test {
 protected:
  CommandChainTest() {
    description_.program = "/bin/true";
    description_.signals = Signals::inherit;
  }

  // The results of a chain in which operation `i` failed with `error`, and nothing after it ran.
  static std::vector<int> failing(const CommandChain& chain, std::size_t i, int error) {
    std::vector<int> results(chain.operations().size(), -ECANCELED);
    std::fill_n(results.begin(), i, 0);
    results[i] = -error;
    return results;
  }

  char variable_[16] = "PATH=/a:/b";
  char* environment_[2] = {variable_, nullptr};
  CommandDescription description_;
  CommandContext context_{.environment = environment_, .open = {true, true, true}};
};

TEST(SearchPlaces, OneForEachDirectory) {
  EXPECT_EQ(search_places("x", "/a:/b/"), (Places{"/a/x", "/b//x"}));
  EXPECT_EQ(search_places("x", nullptr), (Places{"/bin/x", "/usr/bin/x"}));
}

TEST(SearchPlaces, AnEmptyOneIsTheWorkingDirectory) {
  EXPECT_EQ(search_places("x", ""), (Places{"x"}));
  EXPECT_EQ(search_places("x", ":/a::/b:"), (Places{"x", "/a/x", "x", "/b/x", "x"}));
}

TEST(SearchPlaces, ANameWithASlashIsNotSearchedFor) {
  EXPECT_EQ(search_places("./x", "/a:/b"), (Places{"./x"}));
  EXPECT_EQ(search_places("", "/a:/b"), (Places{""}));
}

TEST_F(CommandChainTest, TheOrderOfTheSteps) {
  using enum OperationCode;
  description_.signals = Signals::usual;
  description_.setup = {op::umask(077), op::setsid()};
  description_.directory = "/";
  description_.streams[0] = Stdio::null();
  description_.streams[1] = Stdio::write("x");
  description_.streams[2] = Stdio::output();
  const CommandChain chain(description_, context_);
  EXPECT_EQ(codes(chain), (std::vector{clone, signal_default, signal_mask, keep_only, open, open,
                                       dup, chdir, umask, setsid, exec}));
}

TEST_F(CommandChainTest, WhatTheSetUpNeedsIsLentUntilItIsUsed) {
  using enum OperationCode;
  description_.inherited = {{20, 7}};
  description_.setup = {op::landlock(5), op::take_terminal(0), op::fchdir(7)};
  const CommandChain chain(description_, context_);
  const auto row = chain.operations();
  ASSERT_EQ(codes(chain),
            (std::vector{clone, keep_only, landlock, close, take_terminal, fchdir, close, exec}));
  const std::span map(static_cast<const Inherited*>(row[1].data), row[1].size);
  ASSERT_EQ(map.size(), 6u);
  EXPECT_EQ(map[4].source, 5);
  EXPECT_EQ(map[4].target, 8);
  EXPECT_EQ(map[5].source, 7);
  EXPECT_EQ(map[5].target, 9);
  EXPECT_EQ(row[2].fd, 8);
  EXPECT_EQ(row[3].fd, 8);
  EXPECT_EQ(row[4].fd, 0);
  EXPECT_EQ(row[5].fd, 9);
  EXPECT_EQ(row[6].fd, 9);
}

TEST_F(CommandChainTest, AllButTheLastAreLinked) {
  description_.setup = {op::umask(0).hard_link().tag(99), op::setsid()};
  const CommandChain chain(description_, context_);
  const auto row = chain.operations();
  for (std::size_t i = 0; i < row.size(); ++i) {
    EXPECT_EQ(row[i].linked, i + 1 < row.size());
    EXPECT_FALSE(row[i].hard_linked);
    EXPECT_EQ(row[i].user_data, i);
  }
}

TEST_F(CommandChainTest, TheFirstFailureIsTold) {
  description_.directory = "/nowhere";
  const CommandChain chain(description_, context_);
  EXPECT_EQ(codes(chain)[2], OperationCode::chdir);
  const auto error = chain.error(failing(chain, 2, ENOTDIR));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message(), "chdir /nowhere: Not a directory");
  EXPECT_EQ(chain.error(failing(chain, 0, EAGAIN))->message(),
            "clone: Resource temporarily unavailable");
  // A bad argument cancels even the clone.
  auto results = failing(chain, 2, EFAULT);
  results[0] = results[1] = -ECANCELED;
  EXPECT_EQ(chain.error(results)->message(), "chdir /nowhere: Bad address");
}

TEST_F(CommandChainTest, OfASearchWhatShowsBestWhatIsWrong) {
  description_.program = "tool";
  const CommandChain chain(description_, context_);
  using enum OperationCode;
  ASSERT_EQ(codes(chain), (std::vector{clone, keep_only, exec, exec}));
  const auto told = [&](int first, int second) {
    const int results[] = {0, 0, first, second};
    const auto error = chain.error(results);
    return error ? error->message() : "none";
  };
  EXPECT_EQ(told(-ENOENT, -ENOTDIR), "search PATH for tool: No such file or directory");
  EXPECT_EQ(told(-ENOENT, -EACCES), "exec /b/tool: Permission denied");
  EXPECT_EQ(told(-E2BIG, -ENOENT), "exec /a/tool: Argument list too long");
  EXPECT_EQ(told(-EACCES, 0), "none");
  EXPECT_EQ(told(0, -ECANCELED), "none");
}

TEST_F(CommandChainTest, ANameThatIsTooLongForEveryPlaceIsNotFound) {
  description_.program = std::string(PATH_MAX, 'x');
  const CommandChain chain(description_, context_);
  ASSERT_EQ(codes(chain), (std::vector{OperationCode::clone, OperationCode::keep_only}));
  const int results[] = {0, 0};
  const auto error = chain.error(results);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, ENOENT);
}

TEST_F(CommandChainTest, TheSearchIsAlongThePathOfTheProgram) {
  description_.program = "tool";
  description_.variables["PATH"] = "/only";
  char other[] = "PATHS=/not:/these:/three";
  environment_[0] = other;
  const CommandChain chain(description_, context_);
  EXPECT_STREQ(static_cast<const char*>(chain.operations().back().data), "/only/tool");
  EXPECT_EQ(chain.operations().size(), 3u);
}

}  // namespace
}  // namespace prewarm::cold
