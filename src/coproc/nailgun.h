// SPDX-License-Identifier: MIT
//
// The protocol of nailgun's clients: chunks, each a length (4 bytes, the largest first), a type (1
// byte) and so many bytes of data. A client sends what describes the command, and last its name;
// then data flows both ways until the server has sent the exit status.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prewarm::coproc {

enum class ChunkType : char {
  // From the client, before the command:
  argument = 'A',
  environment = 'E',  // "NAME=VALUE"
  directory = 'D',
  command = 'C',  // the last of these
  // and while it runs:
  input = '0',
  end_of_input = '.',
  heartbeat = 'H',
  // From the server:
  output = '1',
  errors = '2',
  want_input = 'S',  // the client sends one chunk of input for each of these
  exit = 'X',        // the status, in decimal
};

struct Chunk {
  ChunkType type;  // as it came: perhaps none of those above
  std::string data;

  bool operator==(const Chunk&) const = default;
};

// More than any client sends at once: an argument can't be larger (MAX_ARG_STRLEN).
inline constexpr std::size_t kMaxChunkBytes = 1 << 20;

// Adds a chunk's bytes to `to`; `data` is at most kMaxChunkBytes long.
void append_chunk(std::string& to, ChunkType type, std::string_view data = {});

// Takes one chunk off the front of `bytes`. Nothing: it isn't whole yet. An error, in words: it is
// larger than a chunk may be.
std::expected<std::optional<Chunk>, const char*> take_chunk(std::string_view& bytes);

// What a client wants to be run.
struct NailgunCommand {
  std::string name;
  std::vector<std::string> arguments;  // without the name
  std::vector<std::string> environment;
  std::string directory;

  // Takes the next chunk. True: it was the last. An error, in words: this can't be run.
  std::expected<bool, const char*> take(Chunk chunk);

 private:
  std::size_t bytes_ = 0;
};

}  // namespace prewarm::coproc
