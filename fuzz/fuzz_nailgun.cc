// SPDX-License-Identifier: MIT
//
// Chunks of nailgun's clients: the same come out however the bytes are cut, and written again they
// are the same bytes; a command takes any of them, or says why not.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "coproc/message.h"
#include "coproc/nailgun.h"
#include "invariant.h"

namespace {

using prewarm::coproc::Chunk;
using prewarm::coproc::NailgunCommand;

struct Taken {
  std::vector<Chunk> chunks;
  bool is_bad = false;
};

// In pieces of `step` bytes.
Taken take(const std::string& input, std::size_t step) {
  Taken taken;
  std::string buffer;
  for (std::size_t at = 0; at < input.size() && !taken.is_bad; at += step) {
    buffer.append(input, at, step);
    std::string_view rest = buffer;
    for (;;) {
      auto chunk = prewarm::coproc::take_chunk(rest);
      if (!chunk) taken.is_bad = true;
      if (!chunk || !*chunk) break;
      taken.chunks.push_back(std::move(**chunk));
    }
    buffer.erase(0, buffer.size() - rest.size());
  }
  return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const Taken whole = take(input, std::max<std::size_t>(size, 1));
  const Taken pieces = take(input, 3);
  PREWARM_MUST(whole.chunks == pieces.chunks);
  PREWARM_MUST(whole.is_bad == pieces.is_bad);

  std::string written;
  for (const auto& chunk : whole.chunks) append_chunk(written, chunk.type, chunk.data);
  PREWARM_MUST(input.starts_with(written));

  NailgunCommand command;
  std::size_t arguments = 0;
  for (const auto& chunk : whole.chunks) {
    const auto done = command.take(chunk);
    if (!done) break;
    arguments += chunk.type == prewarm::coproc::ChunkType::argument;
    PREWARM_MUST(command.arguments.size() == arguments);
    if (!*done) continue;
    PREWARM_MUST(!command.name.empty() && command.directory.starts_with('/'));
    break;
  }
  return 0;
}
