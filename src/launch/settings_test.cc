// SPDX-License-Identifier: MIT
#include "launch/settings.h"

#include <gtest/gtest.h>

#include <string>

namespace prewarm::launch {
namespace {

void expect_equal(const Settings& a, const Settings& b) {
  EXPECT_EQ(a.stats, b.stats);
  EXPECT_EQ(a.stats_json, b.stats_json);
  EXPECT_EQ(a.learn, b.learn);
  EXPECT_EQ(a.max_warm, b.max_warm);
  EXPECT_EQ(a.clone, b.clone);
  EXPECT_EQ(a.script, b.script);
  EXPECT_EQ(a.agent_path, b.agent_path);
  EXPECT_EQ(a.coprocesses, b.coprocesses);
  EXPECT_EQ(a.batch, b.batch);
  EXPECT_EQ(a.declarations, b.declarations);
  EXPECT_EQ(a.command, b.command);
}

Settings round_trip(const Settings& s) { return Settings::from_text(s.to_text().c_str()); }

Settings unusual() {
  Settings s;
  s.stats = true;
  s.stats_json = "/tmp/stats of today=1.json";
  s.learn = false;
  s.max_warm = 0;
  s.clone = false;
  s.script = "/home/me/b\xff\xe9\tcd $x.sh";
  s.agent_path = "/opt/prewarm/libprewarm-agent.so";
  s.coprocesses = {"tool", "/opt/my tool=1", ""};
  s.batch = {"/usr/bin/tool"};
  s.declarations = "/home/me/coprocesses.toml";
  s.command = "/usr/bin/prewarm";
  return s;
}

TEST(SettingsTest, DefaultsSurviveTheRoundTrip) { expect_equal(round_trip({}), {}); }

TEST(SettingsTest, EveryFieldSurvivesTheRoundTrip) {
  expect_equal(round_trip(unusual()), unusual());
}

TEST(SettingsTest, TheLargestNumberSurvivesTheRoundTrip) {
  Settings s;
  s.max_warm = 0xffffffffU;
  EXPECT_EQ(round_trip(s).max_warm, s.max_warm);
}

TEST(SettingsTest, EveryPairIsEndedByANewline) {
  const std::string text = unusual().to_text();
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
  EXPECT_NE(text.find("isolation=exec\n"), std::string::npos) << text;
  EXPECT_NE(text.find("max_warm=0\n"), std::string::npos) << text;
}

TEST(SettingsTest, NothingGivesTheDefaults) { expect_equal(Settings::from_text(""), {}); }

TEST(SettingsTest, UnknownKeysAndLinesWithoutPairAreIgnored) {
  Settings wanted;
  wanted.max_warm = 7;
  expect_equal(Settings::from_text("colour=red\n\nstats\n=1\nmax_warm=7\nSTATS=1\n"), wanted);
}

TEST(SettingsTest, TheLastLineNeedsNoNewline) {
  EXPECT_EQ(Settings::from_text("stats=1\nscript=/x").script, "/x");
}

TEST(SettingsTest, AValueMayContainEqualsSigns) {
  EXPECT_EQ(Settings::from_text("script=a=b=\n").script, "a=b=");
}

// File names may contain newlines: one must not add settings of its own.
TEST(SettingsTest, ANewlineInAFileNameIsNotTheEndOfAPair) {
  Settings s;
  s.script = "/tmp/a\nagent=/tmp/other.so";
  const Settings back = round_trip(s);
  EXPECT_EQ(back.agent_path, "");
  EXPECT_TRUE(back.script == s.script || back.script.empty()) << back.script;
}

}  // namespace
}  // namespace prewarm::launch
