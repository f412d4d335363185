// SPDX-License-Identifier: MIT
#include "coproc/invocation.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace prewarm::coproc {
namespace {

Invocation everything() {
  Invocation i;
  i.arguments = {"tool", "", "a\nb"};
  i.directory = "/home/ann";
  i.umask = 022;
  i.clear_environment = true;
  i.environment = {"A=1", "B=", "A=2"};
  i.in = "/in";
  i.out = "/out";
  i.err = "/err";
  i.program = "/usr/bin/tool";
  i.affinity = "somewhere";
  i.declarations = "/etc/x";
  i.preload = "json,ssl";
  i.workers = 3;
  i.timeout = std::chrono::milliseconds(1500);
  return i;
}

std::string error_of(std::vector<Field> fields) {
  fields.insert(fields.begin(), {"arg", "tool"});
  const auto invocation = invocation_of({"argv", 1, std::move(fields)});
  return invocation ? "" : invocation.error();
}

TEST(Invocation, SurvivesBeingAMessage) {
  const auto back = invocation_of(to_message(everything(), 5));
  ASSERT_TRUE(back) << back.error();
  const Invocation want = everything();
  EXPECT_EQ(back->arguments, want.arguments);
  EXPECT_EQ(back->directory, want.directory);
  EXPECT_EQ(back->umask, want.umask);
  EXPECT_TRUE(back->clear_environment);
  EXPECT_EQ(back->environment, want.environment);
  EXPECT_EQ(back->in + back->out + back->err, "/in/out/err");
  EXPECT_EQ(back->program, want.program);
  EXPECT_EQ(back->affinity, want.affinity);
  EXPECT_EQ(back->declarations, want.declarations);
  EXPECT_EQ(back->preload, want.preload);
  EXPECT_EQ(back->workers, want.workers);
  EXPECT_EQ(back->timeout, want.timeout);
}

TEST(Invocation, WhatIsNotThereIsNotSaid) {
  Invocation small;
  small.arguments = {"tool"};
  EXPECT_EQ(to_message(small, 9), (Message{"argv", 9, {{"arg", "tool"}}}));
  const auto back = invocation_of(to_message(small, 9));
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->directory || back->umask || back->timeout || back->clear_environment);
}

TEST(Invocation, NeedsAName) {
  EXPECT_FALSE(invocation_of({"argv", 1, {}}));
  EXPECT_FALSE(invocation_of({"argv", 1, {{"cwd", "/"}}}));
}

TEST(Invocation, RefusesFieldsThatMakeNoSense) {
  for (const Field& field :
       std::vector<Field>{{"cwd", "relative"},  {"cwd", ""},
                          {"umask", ""},        {"umask", "8"},
                          {"umask", "01000"},   {"umask", "-1"},
                          {"umask", "0x1"},     {"umask", "022 "},
                          {"env", "NAME"},      {"env", "=x"},
                          {"env", ""},          {"stdin", "x"},
                          {"stdout", ""},       {"stderr", "./x"},
                          {"program", "x"},     {"declarations", "x"},
                          {"workers", "-1"},    {"workers", "1025"},
                          {"timeout-ms", "1s"}, {"timeout-ms", "4294967296"}}) {
    const std::string error = error_of({field});
    EXPECT_NE(error.find(field.name), std::string::npos) << field.name << " " << field.value;
  }
}

TEST(Invocation, IgnoresUnknownFieldsAndTakesTheLast) {
  EXPECT_EQ(error_of({{"frobnicate", "x"}, {"clear-env", "anything"}}), "");
  const auto last = invocation_of({"argv", 1, {{"arg", "t"}, {"cwd", "/a"}, {"cwd", "/b"}}});
  ASSERT_TRUE(last);
  EXPECT_EQ(last->directory, "/b");
}

TEST(Invocation, FindsVariables) {
  const Invocation i = everything();
  EXPECT_STREQ(i.variable("A"), "2");
  EXPECT_STREQ(i.variable("B"), "");
  EXPECT_EQ(i.variable("C"), nullptr);
  EXPECT_EQ(i.variable(""), nullptr);
}

TEST(Outcome, SurvivesBeingAMessage) {
  Outcome outcome = Outcome::exited(255);
  outcome.reason = "deadline";
  outcome.message = "two\nlines";
  outcome.usage = Outcome::Usage{1, UINT64_MAX, 3};
  outcome.retire = true;
  const auto back = outcome_of(to_message(outcome, 1));
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(back->kind, Outcome::Kind::exited);
  EXPECT_EQ(back->value, 255);
  EXPECT_EQ(back->reason, "deadline");
  EXPECT_EQ(back->message, "two\nlines");
  ASSERT_TRUE(back->usage);
  EXPECT_EQ(back->usage->system_us, UINT64_MAX);
  EXPECT_TRUE(back->retire);
}

TEST(Outcome, IsOfAWaitStatus) {
  EXPECT_EQ(to_message(Outcome::of_wait_status(0x0300), 1).fields[0], (Field{"exit", "3"}));
  EXPECT_EQ(to_message(Outcome::of_wait_status(SIGSEGV | 0x80), 1).fields[0],
            (Field{"signal", "11"}));
}

TEST(Outcome, ErrorsHaveReasons) {
  const auto back = outcome_of(to_message(Outcome::not_run("cwd", "gone"), 1));
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->was_run());
  EXPECT_EQ(back->reason, "cwd");
  EXPECT_EQ(outcome_of({"error", 1, {}})->reason, "refused");
}

TEST(Outcome, RefusesStatusesWithoutExactlyOneEnd) {
  for (const auto& fields : std::vector<std::vector<Field>>{{},
                                                            {{"exit", "256"}},
                                                            {{"exit", "-1"}},
                                                            {{"exit", ""}},
                                                            {{"signal", "0"}},
                                                            {{"signal", "65"}},
                                                            {{"exit", "0"}, {"signal", "9"}}}) {
    EXPECT_FALSE(outcome_of({"status", 1, fields}));
  }
  EXPECT_FALSE(outcome_of({"version", 1, {}}));
  EXPECT_TRUE(outcome_of({"status", 1, {{"exit", "0"}}}));
  EXPECT_TRUE(outcome_of({"status", 1, {{"signal", "64"}}}));
}

TEST(Greeting, SurvivesBeingAMessage) {
  Greeting greeting{"test 1", 64, true, true};
  const auto back = greeting_of(to_message(greeting, 1));
  ASSERT_TRUE(back) << back.error();
  EXPECT_EQ(back->implementation, "test 1");
  EXPECT_EQ(back->concurrent, 64U);
  EXPECT_TRUE(back->takes_signals);
  EXPECT_TRUE(back->fresh);
  const auto plain = greeting_of(to_message(Greeting{}, 1));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->concurrent, 1U);
  EXPECT_FALSE(plain->takes_signals || plain->fresh);
}

TEST(Greeting, RefusesOthers) {
  EXPECT_FALSE(greeting_of({"error", 1, {{"message", "no"}}}));
  EXPECT_FALSE(greeting_of({"status", 1, {{"exit", "0"}}}));
  EXPECT_FALSE(greeting_of({"version", 1, {}}));
  EXPECT_FALSE(greeting_of({"version", 1, {{"version", "2"}}}));
  for (const char* feature : {"concurrent 0", "concurrent 1025", "concurrent x", "concurrent "}) {
    EXPECT_FALSE(greeting_of({"version", 1, {{"version", "1"}, {"feature", feature}}})) << feature;
  }
  EXPECT_TRUE(greeting_of({"version", 1, {{"version", "1"}, {"feature", "flying"}}}));
}

TEST(Greeting, KnowsItsVersionAmongSeveral) {
  EXPECT_TRUE(has_our_version(version_request(1)));
  EXPECT_TRUE(has_our_version({"version", 1, {{"version", "1"}, {"version", "2"}}}));
  EXPECT_FALSE(has_our_version({"version", 1, {{"version", "2"}}}));
  EXPECT_FALSE(has_our_version({"version", 1, {{"feature", "1"}}}));
}

}  // namespace
}  // namespace prewarm::coproc
