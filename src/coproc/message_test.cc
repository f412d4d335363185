// SPDX-License-Identifier: MIT
#include "coproc/message.h"

#include <gtest/gtest.h>

namespace prewarm::coproc {
namespace {

Message example() {
  return {"argv", 7, {{"arg", "cloudcopy"}, {"env", "GREETING=two\nlines"}, {"arg", "a\\n"}}};
}

// What `text` parses as, printed again; or the error.
std::string reprinted(std::string_view text) {
  const auto message = parse_message(text);
  return message ? print_message(*message).value_or("(can't be printed)") : message.error();
}

TEST(Message, PrintsAsThePageSays) {
  EXPECT_EQ(print_message(example()),
            "argv 7 3\narg cloudcopy\nenv GREETING=two\\nlines\narg a\\\\n\n");
  EXPECT_EQ(print_message({"flush", 4294967295, {}}), "flush 4294967295 0\n");
}

TEST(Message, ParsesWhatItPrints) {
  EXPECT_EQ(parse_message(*print_message(example())), example());
  std::string all;
  for (int c = 1; c < 256; ++c) all += static_cast<char>(c);
  const Message odd{"a-1", 0, {{"x", all}, {"x", ""}, {"x", " "}, {"x", "\n\n\\"}, {"x", "\r"}}};
  EXPECT_EQ(parse_message(*print_message(odd)), odd);
}

TEST(Message, TakesOneOfSeveralAndWaitsForTheRest) {
  const std::string text = *print_message(example()) + "flush 8 0\n";
  for (std::size_t n = 0; n < text.size(); ++n) {
    std::string_view part = std::string_view(text).substr(0, n);
    const auto taken = take_message(part);
    ASSERT_TRUE(taken) << n << taken.error();
    const bool whole = n >= text.size() - 10;
    ASSERT_EQ(taken->has_value(), whole) << n;
    EXPECT_EQ(part.size(), whole ? n - (text.size() - 10) : n);
  }
  std::string_view rest = text;
  EXPECT_EQ(**take_message(rest), example());
  EXPECT_EQ((*take_message(rest))->type, "flush");
  EXPECT_TRUE(rest.empty());
}

TEST(Message, RefusesOtherHeaders) {
  for (const char* text : {"\n",
                           "argv\n",
                           "argv 1\n",
                           "argv 1 \n",
                           "argv  1 0\n",
                           "argv 1 0 \n",
                           " argv 1 0\n",
                           "argv 01 0\n",
                           "argv 1 00\n",
                           "argv +1 0\n",
                           "argv -1 0\n",
                           "argv 1 -0\n",
                           "argv 0x1 0\n",
                           "argv 4294967296 0\n",
                           "argv 1 131073\n",
                           "argv 1 99999999999999999999999\n",
                           "Argv 1 0\n",
                           "1rgv 1 0\n",
                           "-argv 1 0\n",
                           "ar_gv 1 0\n",
                           "argv\t1 0\n",
                           "argv 1 0\r\n",
                           "abcdefghijklmnopqrstuvwxyzabcdef 1 0\n"}) {
    EXPECT_EQ(reprinted(text), "its first line is not a header") << text;
  }
  EXPECT_EQ(reprinted("abcdefghijklmnopqrstuvwxyzabcde 1 0\n"),
            "abcdefghijklmnopqrstuvwxyzabcde 1 0\n");
}

TEST(Message, RefusesOtherFields) {
  for (const char* text :
       {"a 1 1\nb\n", "a 1 1\n b\n", "a 1 1\nB c\n", "a 1 1\n\n", "a 1 1\nb \\\n", "a 1 1\nb \\x\n",
        "a 1 1\nb x\\\n", "a 1 1\nb \\\\\\\n"}) {
    EXPECT_EQ(reprinted(text), "one of its lines is not a field") << text;
  }
  EXPECT_EQ(reprinted(std::string_view("a 1 1\nb c\0d\n", 12)), "one of its lines is not a field");
  EXPECT_EQ(reprinted("a 1 1\nb \n"), "a 1 1\nb \n");
}

TEST(Message, MustBeWhole) {
  EXPECT_EQ(reprinted(""), "it ends before its last field");
  EXPECT_EQ(reprinted("a 1 1\nb c"), "it ends before its last field");
  EXPECT_EQ(reprinted("a 1 0\nb c\n"), "more follows its last field");
}

TEST(Message, HasLimits) {
  std::string_view endless = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  EXPECT_FALSE(take_message(endless));
  Message message{"echo", 1, {}};
  // "echo 1 1\nx " and the line feed.
  message.add("x", std::string(kMaxMessageBytes - 12, 'v'));
  const auto text = print_message(message);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->size(), kMaxMessageBytes);
  EXPECT_EQ(parse_message(*text), message);
  message.fields[0].value += 'v';
  EXPECT_FALSE(print_message(message));
  std::string longer = *text;
  longer.insert(longer.size() - 1, "v");
  EXPECT_EQ(parse_message(longer), std::unexpected<const char*>(parse_message(longer).error()));
  EXPECT_FALSE(parse_message(longer));
  std::string_view unfinished = std::string_view(longer).substr(0, longer.size() - 1);
  EXPECT_FALSE(take_message(unfinished));

  message.fields.assign(kMaxFields, {"x", ""});
  EXPECT_TRUE(parse_message(*print_message(message)));
  message.fields.emplace_back();
  EXPECT_FALSE(print_message(message));
}

TEST(Message, EscapesCountForTheLimit) {
  Message message{"echo", 1, {}};
  message.add("x", std::string(kMaxMessageBytes / 2, '\n'));
  EXPECT_FALSE(print_message(message));
}

TEST(Message, HoldsNoNul) {
  EXPECT_FALSE(print_message({"echo", 1, {{"x", std::string("a\0b", 3)}}}));
}

TEST(Message, TheLastOfSeveralFieldsCounts) {
  const Message message{"status", 1, {{"exit", "1"}, {"exit", "2"}, {"signal", "x"}}};
  EXPECT_EQ(*message.find("exit"), "2");
  EXPECT_EQ(message.find("retire"), nullptr);
  EXPECT_EQ(message.number("exit", 255), 2);
  EXPECT_EQ(message.number("exit", 1), std::nullopt);
  EXPECT_EQ(message.number("signal", 64), std::nullopt);
  EXPECT_EQ(message.number("retire", 64), std::nullopt);
}

TEST(ParseNumber, TakesPlainOnesUpToTheMost) {
  EXPECT_EQ(parse_number("0", 0), 0);
  EXPECT_EQ(parse_number("18446744073709551615", UINT64_MAX), UINT64_MAX);
  for (const char* text : {"", "00", "01", "-0", "+1", " 1", "1 ", "1a", "18446744073709551616"}) {
    EXPECT_EQ(parse_number(text, UINT64_MAX), std::nullopt) << text;
  }
  EXPECT_EQ(parse_number("2", 1), std::nullopt);
}

}  // namespace
}  // namespace prewarm::coproc
