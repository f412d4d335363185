// SPDX-License-Identifier: MIT
#include "coproc/bazel_message.h"

#include <gtest/gtest.h>

#include "coproc/bazel_json.h"
#include "coproc/bazel_proto.h"

namespace prewarm::coproc {
namespace {

using Taken = std::expected<std::optional<WorkResponse>, const char*>;

Taken take_json(std::string_view bytes) { return take_json_response(bytes); }
Taken take_proto(std::string_view bytes) { return take_proto_response(bytes); }

// Of each way in which `bytes` can arrive in two pieces: nothing first, then all of it.
void expect_at_any_split(const BazelCodec& codec, const std::string& bytes,
                         const WorkResponse& want) {
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    std::string_view part = std::string_view(bytes).substr(0, n);
    const auto taken = codec.take(part);
    ASSERT_TRUE(taken) << n << ": " << taken.error();
    EXPECT_FALSE(*taken) << n;
  }
  const std::string twice = bytes + bytes;
  std::string_view rest = twice;
  for (int i = 0; i < 2; ++i) {
    const auto taken = codec.take(rest);
    ASSERT_TRUE(taken) << taken.error();
    ASSERT_TRUE(*taken);
    EXPECT_EQ(**taken, want);
  }
  EXPECT_TRUE(rest.empty());
}

TEST(BazelJson, PrintsRequestsOnALine) {
  EXPECT_EQ(print_json_request({{"-x", "a\nb", "\u00e4\""}, 0, false}),
            "{\"arguments\":[\"-x\",\"a\\nb\",\"\u00e4\\\"\"],\"requestId\":0}\n");
  EXPECT_EQ(print_json_request({{}, 7, true}),
            "{\"arguments\":[],\"cancel\":true,\"requestId\":7}\n");
}

TEST(BazelJson, TakesResponsesAtAnySplit) {
  expect_at_any_split(kBazelJson,
                      R"({"exitCode": -3, "output": "a}\"\\{\u00e4", "requestId": 2147483647,
                          "wasCancelled": true, "more": {"exitCode": [1, {}], "output": 7}})",
                      {-3, "a}\"\\{\u00e4", 2147483647, true});
  expect_at_any_split(kBazelJson, "{}", {});
  expect_at_any_split(kBazelJson, R"({"exitCode":null,"output":null})", {});
}

TEST(BazelJson, SkipsBlanksBetween) {
  std::string_view bytes = " \r\n\t{}\n\n {\"exitCode\":1} \n";
  EXPECT_EQ((*take_json_response(bytes))->exit_code, 0);
  EXPECT_EQ((*take_json_response(bytes))->exit_code, 1);
  EXPECT_FALSE(*take_json_response(bytes));
  EXPECT_TRUE(bytes.empty());
}

TEST(BazelJson, RefusesWhatIsNoResponse) {
  for (const char* bytes : {"x",
                            "[]",
                            "1",
                            "\"{}\"",
                            "{]",
                            "{\"a\"}",
                            "{\"a\":}",
                            "{a:1}",
                            "{\"exitCode\":\"1\"}",
                            "{\"exitCode\":1.5}",
                            "{\"exitCode\":2147483648}",
                            "{\"exitCode\":-2147483649}",
                            "{\"exitCode\":{}}",
                            "{\"exitCode\":[]}",
                            "{\"exitCode\":true}",
                            "{\"output\":1}",
                            "{\"output\":[]}",
                            "{\"output\":false}",
                            "{\"wasCancelled\":1}",
                            "{\"wasCancelled\":\"x\"}",
                            "{\"output\":\"\xff\"}",
                            "{\"requestId\":99999999999}"}) {
    EXPECT_FALSE(take_json(bytes)) << bytes;
  }
}

TEST(BazelJson, HasBounds) {
  const std::string deep = "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_FALSE(take_json(deep));
  EXPECT_FALSE(take_json("{\"output\":\"" + std::string(kMaxResponseBytes, 'x')));
  const std::string large = "{\"output\":\"" + std::string(1'000'000, 'x') + "\"}";
  EXPECT_EQ((*take_json(large))->output.size(), 1'000'000U);
}

TEST(BazelProto, PrintsRequests) {
  EXPECT_EQ(print_proto_request({{"-x", ""}, 0, false}), std::string("\6\n\2-x\n\0", 7));
  EXPECT_EQ(print_proto_request({{}, 300, true}), "\5\x18\xac\2\x20\1");
  const std::string longer(300, 'a');
  EXPECT_EQ(print_proto_request({{longer}, 0, false}), "\xaf\2\n\xac\2" + longer);
}

TEST(BazelProto, TakesResponsesAtAnySplit) {
  const std::string minus_three = "\xfd\xff\xff\xff\xff\xff\xff\xff\xff\1";
  std::string body = "\x08" + minus_three + "\x12\3abc\x18\xac\2\x20\1";
  // Fields that nobody knows, of each type.
  body += std::string("\x28\7\x32\1z\x39") + "12345678" + "\x45" + "1234";
  expect_at_any_split(kBazelProto, static_cast<char>(body.size()) + body, {-3, "abc", 300, true});
  expect_at_any_split(kBazelProto, std::string(1, '\0'), {});
  // Known fields of other types are unknown ones.
  expect_at_any_split(kBazelProto, "\5\x0a\1x\x10\1", {});
  // The last one counts.
  expect_at_any_split(kBazelProto, "\4\x08\1\x08\2", {2, "", 0, false});
}

TEST(BazelProto, RefusesWhatIsNoResponse) {
  for (const std::string& bytes :
       {std::string("\1\x08", 2), std::string("\2\0\1", 3), std::string("\2\x0b\1", 3),
        std::string("\2\x0c\1", 3), std::string("\2\x0f\1", 3), std::string("\3\x12\5a", 4),
        std::string("\4\x39"
                    "123",
                    5),
        std::string("\2\x08\xff", 3), std::string(11, '\xff'),
        std::string("\xff\xff\xff\xff\x7f", 5),
        std::string("\xc\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\1", 13),
        std::string("\6\xff\xff\xff\xff\x7f\1", 7)}) {
    EXPECT_FALSE(take_proto(bytes)) << testing::PrintToString(bytes);
  }
}

TEST(Utf8, KnowsItsOwn) {
  for (const char* text : {"", "a", "\u00e4", "\u20ac", "\U0001F600", "\xf4\x8f\xbf\xbf", "\x7f"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  for (const char* text :
       {"\x80", "\xff", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3\x41", "a\xe2\x28\xa1"}) {
    EXPECT_FALSE(is_utf8(text)) << text;
  }
}

}  // namespace
}  // namespace prewarm::coproc
