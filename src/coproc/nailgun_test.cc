// SPDX-License-Identifier: MIT
#include "coproc/nailgun.h"

#include <gtest/gtest.h>

#include "coproc/nailgun_peer.h"

namespace prewarm::coproc {
namespace {

using namespace std::literals;

std::string bytes_of(ChunkType type, std::string_view data) {
  std::string bytes;
  append_chunk(bytes, type, data);
  return bytes;
}

TEST(NailgunTest, AChunkIsLengthTypeAndData) {
  EXPECT_EQ(bytes_of(ChunkType::argument, "abc"), "\0\0\0\3Aabc"s);
  EXPECT_EQ(bytes_of(ChunkType::end_of_input, ""), "\0\0\0\0."s);
  EXPECT_EQ(bytes_of(ChunkType::input, std::string(0x10203, 'x')).substr(0, 5), "\0\1\2\3"s + "0");
}

TEST(NailgunTest, ChunksAreTakenHoweverTheyCome) {
  const std::string all = bytes_of(ChunkType::input, "one") + bytes_of(ChunkType::heartbeat, "") +
                          bytes_of(ChunkType::argument, "\0\xff"s);
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    std::string_view rest = std::string_view(all).substr(0, cut);
    std::vector<Chunk> chunks;
    const auto take_all = [&] {
      for (;;) {
        auto chunk = take_chunk(rest);
        ASSERT_TRUE(chunk);
        if (!*chunk) return;
        chunks.push_back(**chunk);
      }
    };
    take_all();
    const std::string joined = std::string(rest) + all.substr(cut);
    rest = joined;
    take_all();
    EXPECT_TRUE(rest.empty());
    EXPECT_EQ(chunks, (std::vector<Chunk>{{ChunkType::input, "one"},
                                          {ChunkType::heartbeat, ""},
                                          {ChunkType::argument, "\0\xff"s}}));
  }
}

TEST(NailgunTest, ALargeChunkIsAnErrorBeforeItIsThere) {
  std::string_view most = "\x00\x10\x00\x00\x30"sv;
  EXPECT_TRUE(take_chunk(most));
  std::string_view more = "\x00\x10\x00\x01\x30"sv;
  EXPECT_FALSE(take_chunk(more));
  std::string_view much = "\xff\xff\xff\xff\x30"sv;
  EXPECT_FALSE(take_chunk(much));
}

TEST(NailgunTest, ACommandEndsWithItsName) {
  NailgunCommand command;
  EXPECT_EQ(command.take({ChunkType::argument, "a"}), false);
  EXPECT_EQ(command.take({ChunkType::argument, ""}), false);
  EXPECT_EQ(command.take({ChunkType::environment, "A=b=c"}), false);
  EXPECT_EQ(command.take({ChunkType::environment, "nameless"}), false);
  EXPECT_EQ(command.take({ChunkType::environment, "=x"}), false);
  EXPECT_EQ(command.take({ChunkType::heartbeat, ""}), false);
  EXPECT_EQ(command.take({ChunkType::directory, "/tmp"}), false);
  EXPECT_EQ(command.take({ChunkType::command, "tool"}), true);
  EXPECT_EQ(command.name, "tool");
  EXPECT_EQ(command.directory, "/tmp");
  EXPECT_EQ(command.arguments, (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(command.environment, (std::vector<std::string>{"A=b=c"}));
}

TEST(NailgunTest, WhatCantBeRunIsAnError) {
  EXPECT_FALSE(NailgunCommand().take({ChunkType::command, "tool"}));  // no directory
  EXPECT_FALSE(NailgunCommand().take({ChunkType::argument, "a\0b"s}));
  EXPECT_FALSE(NailgunCommand().take({ChunkType::input, "x"}));
  EXPECT_FALSE(NailgunCommand().take({static_cast<ChunkType>('L'), "x"}));
  NailgunCommand nameless;
  EXPECT_TRUE(nameless.take({ChunkType::directory, "/"}));
  EXPECT_FALSE(nameless.take({ChunkType::command, ""}));
  NailgunCommand large;
  int taken = 0;
  while (large.take({ChunkType::argument, std::string(kMaxChunkBytes, 'x')})) ++taken;
  EXPECT_EQ(taken, 4);
  NailgunCommand many;
  taken = 0;
  while (many.take({ChunkType::argument, ""})) ++taken;
  EXPECT_EQ(taken, 65536);
}

constexpr std::string_view kTable =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n"
    "   0: 0100007F:0841 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1\n"
    "   1: 0100007F:C350 0100007F:0841 01 00000000:00000000 00:00000000 00000000  1234        0 2\n"
    "   2: 0100007F:0841 0100007F:C350 01 00000000:00000000 00:00000000 00000000     7        0 3\n"
    "   3: 0100007F:C351 0100007F:0841 06 00000000:00000000 00:00000000 00000000     0        0 "
    "0\n";

TEST(NailgunTest, TheUserOfAConnectionIsThatOfItsOtherEnd) {
  EXPECT_EQ(user_in_table(kTable, "0100007F:C350", "0100007F:0841"), 1234U);
  EXPECT_EQ(user_in_table(kTable, "0100007F:0841", "0100007F:C350"), 7U);
  // A connection that has ended belongs to nobody any more: the kernel says 0.
  EXPECT_EQ(user_in_table(kTable, "0100007F:C351", "0100007F:0841"), std::nullopt);
  EXPECT_EQ(user_in_table(kTable, "0100007F:C352", "0100007F:0841"), std::nullopt);
  EXPECT_EQ(user_in_table("", "0100007F:C350", "0100007F:0841"), std::nullopt);
  EXPECT_EQ(user_in_table("a\nb c\n", "b", "c"), std::nullopt);
}

}  // namespace
}  // namespace prewarm::coproc
