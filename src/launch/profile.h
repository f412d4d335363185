// SPDX-License-Identifier: MIT
//
// What a script launched the last time it ran, so that the next run can park just that. One small
// text file per script under the user's cache directory:
//
//   prewarm-profile 1
//   COUNT FROM_SUBSHELL PATH        one line per program, in order of first use
//
// The file is a hint and nothing else: whatever is wrong with it, it is ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prewarm::launch {

struct ProfileEntry {
  std::string path;                 // absolute
  std::uint32_t launches = 0;       // in the last run
  std::uint32_t from_subshell = 0;  // how many of them were called for by a subshell
  bool operator==(const ProfileEntry&) const = default;
};

struct Profile {
  static constexpr std::size_t kMaxEntries = 64;
  static constexpr std::size_t kMaxBytes = 16384;
  std::vector<ProfileEntry> entries;
  bool operator==(const Profile&) const = default;
};

// nullopt: not a profile, or one that exceeds the limits.
std::optional<Profile> parse_profile(std::string_view text);
std::string format_profile(const Profile& profile);

// The directory that profiles are kept in: $XDG_CACHE_HOME/prewarm/profiles, or the same under
// ~/.cache. Empty if neither variable is an absolute path.
std::string profile_directory(const char* xdg_cache_home, const char* home);

// The file for the script with real path `script`.
std::string profile_file(const std::string& directory, const std::string& script);

std::optional<Profile> load_profile(const std::string& file);
// Replaces the file in one step; makes the directory (mode 0700). Keeps at most kMaxProfiles files,
// the oldest go. Failures are silent: a profile is not worth a message.
inline constexpr std::size_t kMaxProfiles = 512;
void save_profile(const std::string& directory, const std::string& file, const Profile& profile);

}  // namespace prewarm::launch
