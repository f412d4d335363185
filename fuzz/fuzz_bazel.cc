// SPDX-License-Identifier: MIT
//
// Responses of Bazel's workers, in both encodings: a part of one that is accepted is not accepted,
// nothing is taken of what is refused, and the bounds hold. Requests are printed of what came.
#include <cstdint>
#include <string>
#include <string_view>

#include "coproc/bazel_json.h"
#include "coproc/bazel_proto.h"
#include "invariant.h"

namespace {

using namespace prewarm::coproc;

void take(const BazelCodec& codec, std::string_view bytes) {
  std::string_view rest = bytes;
  const auto taken = codec.take(rest);
  if (!taken) {
    PREWARM_MUST(rest == bytes);
    return;
  }
  if (!*taken) {
    PREWARM_MUST(rest.empty() || rest == bytes);
    return;
  }
  const std::string_view used = bytes.substr(0, bytes.size() - rest.size());
  PREWARM_MUST(!used.empty());
  PREWARM_MUST((*taken)->output.size() <= used.size());
  for (std::size_t n : {std::size_t{0}, used.size() / 2, used.size() - 1}) {
    std::string_view part = used.substr(0, n);
    const auto early = codec.take(part);
    PREWARM_MUST(early.has_value() && !*early);
  }
  std::string_view again = used;
  const auto same = codec.take(again);
  PREWARM_MUST(same.has_value() && *same && **same == **taken && again.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  take(kBazelJson, bytes);
  take(kBazelProto, bytes);
  if (!is_utf8(bytes)) return 0;
  // The text as an argument: in JSON it is one object in one line.
  const WorkRequest request{{std::string(bytes), ""}, 7, false};
  const std::string line = print_json_request(request);
  PREWARM_MUST(line.find('\n') == line.size() - 1);
  PREWARM_MUST(json_object_length(line) == line.size() - 1);
  const std::string message = print_proto_request(request);
  PREWARM_MUST(message.size() > size);
  return 0;
}
