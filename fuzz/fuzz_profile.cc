// SPDX-License-Identifier: MIT
//
// A learned profile is a file that anybody may have damaged: what is accepted is within the limits,
// and survives being written and read again.
#include <cstdint>
#include <string_view>

#include "invariant.h"
#include "launch/profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prewarm::launch;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto profile = parse_profile(text);
  if (!profile) return 0;
  PREWARM_MUST(size <= Profile::kMaxBytes);
  PREWARM_MUST(profile->entries.size() <= Profile::kMaxEntries);
  std::size_t paths = 0;
  for (const auto& entry : profile->entries) {
    PREWARM_MUST(entry.path.starts_with('/'));
    PREWARM_MUST(entry.path.find('\0') == std::string::npos);
    PREWARM_MUST(entry.path.find('\n') == std::string::npos);
    paths += entry.path.size();
  }
  PREWARM_MUST(paths <= size);
  const std::string written = format_profile(*profile);
  PREWARM_MUST(written.size() <= size);
  const auto again = parse_profile(written);
  PREWARM_MUST(again.has_value());
  PREWARM_MUST(*again == *profile);
  PREWARM_MUST(format_profile(*again) == written);
  return 0;
}
