// SPDX-License-Identifier: MIT
//
// Messages of Bazel's persistent workers (https://bazel.build/remote/creating), whatever the
// encoding. Of a request what is needed here: a driver that isn't Bazel has no digests of inputs,
// and no sandboxes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prewarm::coproc {

struct WorkRequest {
  std::vector<std::string> arguments;  // UTF-8
  std::int32_t request_id = 0;         // 0: one at a time
  bool cancel = false;                 // the request with that id; no arguments

  bool operator==(const WorkRequest&) const = default;
};

struct WorkResponse {
  std::int32_t exit_code = 0;
  std::string output;  // for people
  std::int32_t request_id = 0;
  bool was_cancelled = false;

  bool operator==(const WorkResponse&) const = default;
};

inline constexpr std::size_t kMaxResponseBytes = std::size_t{32} << 20;

// Text in the encoding that both have: no surrogates, nothing overlong.
bool is_utf8(std::string_view text);

// One encoding.
struct BazelCodec {
  // Ready to be written.
  std::string (*print)(const WorkRequest& request);
  // Takes one response off the front of `bytes`. Nothing: it isn't whole yet. An error, in words:
  // it never will be one.
  std::expected<std::optional<WorkResponse>, const char*> (*take)(std::string_view& bytes);
};

}  // namespace prewarm::coproc
