// SPDX-License-Identifier: MIT
//
// Bazel's worker messages as JSON: objects that follow each other, names in camel case. Unknown
// members are ignored. Members that have their default may be missing.
#pragma once

#include "coproc/bazel_message.h"

namespace prewarm::coproc {

std::string print_json_request(const WorkRequest& request);
std::expected<std::optional<WorkResponse>, const char*> take_json_response(std::string_view& bytes);

// The length of the JSON object that `text` begins with, blanks before it included; 0: it isn't
// whole yet, or there is none. Only brackets and strings are looked at.
std::size_t json_object_length(std::string_view text);

inline constexpr BazelCodec kBazelJson{print_json_request, take_json_response};

}  // namespace prewarm::coproc
