// SPDX-License-Identifier: MIT
#include "coproc/nailgun.h"

#include <cstdint>

#include "coproc/message.h"

namespace prewarm::coproc {
namespace {

constexpr std::size_t kHeaderBytes = 5;

std::uint32_t read_length(std::string_view bytes) {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return length;
}

}  // namespace

void append_chunk(std::string& to, ChunkType type, std::string_view data) {
  for (const int shift : {24, 16, 8, 0}) to += static_cast<char>(data.size() >> shift & 0xff);
  to += static_cast<char>(type);
  to += data;
}

std::expected<std::optional<Chunk>, const char*> take_chunk(std::string_view& bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  const std::size_t length = read_length(bytes);
  if (length > kMaxChunkBytes) return std::unexpected("a chunk is too large");
  if (bytes.size() < kHeaderBytes + length) return std::nullopt;
  Chunk chunk{static_cast<ChunkType>(bytes[kHeaderBytes - 1]),
              std::string(bytes.substr(kHeaderBytes, length))};
  bytes.remove_prefix(kHeaderBytes + length);
  return chunk;
}

std::expected<bool, const char*> NailgunCommand::take(Chunk chunk) {
  bytes_ += chunk.data.size();
  // Half of what a message may have leaves room for what it adds.
  if (bytes_ > kMaxMessageBytes / 2 || arguments.size() + environment.size() >= kMaxFields / 2) {
    return std::unexpected("arguments and environment are too large");
  }
  if (chunk.data.find('\0') != std::string::npos) return std::unexpected("there is a NUL in it");
  switch (chunk.type) {
    case ChunkType::argument:
      arguments.push_back(std::move(chunk.data));
      return false;
    case ChunkType::environment: {
      const auto equals = chunk.data.find('=');
      // What has no name no program finds.
      if (equals != 0 && equals != std::string::npos) environment.push_back(std::move(chunk.data));
      return false;
    }
    case ChunkType::directory:
      directory = std::move(chunk.data);
      return false;
    case ChunkType::heartbeat:
      return false;
    case ChunkType::command:
      name = std::move(chunk.data);
      if (name.empty()) return std::unexpected("there is no command in it");
      if (!directory.starts_with('/')) return std::unexpected("its directory is no absolute path");
      return true;
    default:
      return std::unexpected("a chunk of its kind isn't known here");
  }
}

}  // namespace prewarm::coproc
