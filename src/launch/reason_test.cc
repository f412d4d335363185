// SPDX-License-Identifier: MIT
#include "launch/reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace prewarm::launch {
namespace {

constexpr auto kCount = static_cast<std::uint32_t>(Reason::count_);

TEST(ReasonTest, EachHasANameOfItsOwnForMachines) {
  std::set<std::string> names;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::string name = reason_name(static_cast<Reason>(i));
    EXPECT_FALSE(name.empty()) << i;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos) << name;
    EXPECT_NE(name, "unknown") << i;
    EXPECT_TRUE(names.insert(name).second) << name << " twice";
  }
}

TEST(ReasonTest, EachHasOneSentenceOfItsOwnWithoutFullStop) {
  std::set<std::string> texts;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const std::string text = reason_text(static_cast<Reason>(i));
    ASSERT_FALSE(text.empty()) << i;
    EXPECT_NE(text.back(), '.') << text;
    EXPECT_EQ(text.find(". "), std::string::npos) << text << ": more than one sentence";
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_TRUE(texts.insert(text).second) << text << " twice";
  }
}

TEST(ReasonTest, NamesBelongToTheirValues) {
  EXPECT_STREQ(reason_name(Reason::none), "none");
  EXPECT_STREQ(reason_name(Reason::called_once), "called_once");
  EXPECT_STREQ(reason_text(Reason::not_found), "no such command was found on PATH");
}

// A number may come from memory that another process wrote.
TEST(ReasonTest, AValueOutOfRangeIsUnknown) {
  for (const std::uint32_t value : {kCount, kCount + 1, 0x7fffffffU, 0xffffffffU}) {
    EXPECT_STREQ(reason_name(static_cast<Reason>(value)), "unknown");
    EXPECT_STREQ(reason_text(static_cast<Reason>(value)), "the reason is not known");
  }
}

}  // namespace
}  // namespace prewarm::launch
