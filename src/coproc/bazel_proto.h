// SPDX-License-Identifier: MIT
//
// Bazel's worker messages as protocol buffers, each with its length before it (a varint).
//
// Written by hand: five fields of two wire types. libprotobuf-lite was tried: linked into
// `prewarm`, which is one static program because its start-up counts, it adds 15 percent to its
// size and at least a tenth to the processor time of its start (initialisers that run in each of
// them). Its fuzzer is fuzz/fuzz_bazel.cc.
#pragma once

#include "coproc/bazel_message.h"

namespace prewarm::coproc {

std::string print_proto_request(const WorkRequest& request);
std::expected<std::optional<WorkResponse>, const char*> take_proto_response(
    std::string_view& bytes);

inline constexpr BazelCodec kBazelProto{print_proto_request, take_proto_response};

}  // namespace prewarm::coproc
