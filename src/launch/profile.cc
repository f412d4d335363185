// SPDX-License-Identifier: MIT
#include "launch/profile.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>

#include "os/fd.h"

namespace prewarm::launch {
namespace {

constexpr std::string_view kHead = "prewarm-profile 1\n";

// Takes a number and the blank behind it off `line`.
bool take_number(std::string_view& line, std::uint32_t& value) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc() || end == line.data()) return false;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  if (!line.starts_with(' ')) return false;
  line.remove_prefix(1);
  return true;
}

// FNV-1a, 64 bits: names a file after its script; a collision only means a useless hint.
std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

// The cache directory, prewarm, and profiles; what the first is to lie in must be there, as a home
// directory that isn't is not ours to make.
bool make_directories(const std::string& path) {
  const std::size_t own = path.rfind("/prewarm/");
  if (own == std::string::npos || own == 0) return false;
  for (std::size_t at = path.rfind('/', own - 1); at != std::string::npos;) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0700) != 0 && ::access(part.c_str(), X_OK) != 0) return false;
  }
  return true;
}

// Calls visit(name) for each file in `directory`.
template <class Visit>
void for_each_file(const std::string& directory, Visit visit) {
  DIR* d = ::opendir(directory.c_str());
  if (d == nullptr) return;
  while (const dirent* entry = ::readdir(d)) visit(std::string(entry->d_name));
  ::closedir(d);
}

// Makes room for one more profile, if there is none: the oldest goes, and what runs left that were
// killed while they wrote (nobody writes for a minute).
void make_room(const std::string& directory) {
  constexpr time_t kAbandoned = 60;
  std::size_t count = 0;
  for_each_file(directory, [&count](const std::string&) { ++count; });
  if (count < kMaxProfiles) return;
  std::size_t profiles = 0;
  std::string oldest;
  time_t oldest_time = 0;
  for_each_file(directory, [&](const std::string& name) {
    struct stat s;
    const std::string path = directory + "/" + name;
    if (::lstat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return;
    if (name[0] == '.') {
      if (s.st_mtime + kAbandoned < ::time(nullptr)) ::unlink(path.c_str());
      return;
    }
    ++profiles;
    if (oldest.empty() || s.st_mtime < oldest_time) {
      oldest = path;
      oldest_time = s.st_mtime;
    }
  });
  if (profiles >= kMaxProfiles) ::unlink(oldest.c_str());
}

}  // namespace

std::optional<Profile> parse_profile(std::string_view text) {
  if (text.size() > Profile::kMaxBytes || !text.starts_with(kHead)) return std::nullopt;
  text.remove_prefix(kHead.size());
  Profile profile;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos || profile.entries.size() == Profile::kMaxEntries) {
      return std::nullopt;
    }
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    ProfileEntry entry;
    if (!take_number(line, entry.launches) || !take_number(line, entry.from_subshell)) {
      return std::nullopt;
    }
    if (!line.starts_with('/') || line.find('\0') != std::string_view::npos) return std::nullopt;
    entry.path = line;
    profile.entries.push_back(std::move(entry));
  }
  return profile;
}

std::string format_profile(const Profile& profile) {
  std::string text(kHead);
  std::size_t count = 0;
  for (const auto& e : profile.entries) {
    if (e.path.find('\n') != std::string::npos || count == Profile::kMaxEntries) continue;
    const std::string line =
        std::to_string(e.launches) + " " + std::to_string(e.from_subshell) + " " + e.path + "\n";
    if (text.size() + line.size() > Profile::kMaxBytes) break;
    text += line;
    ++count;
  }
  return text;
}

std::string profile_directory(const char* xdg_cache_home, const char* home) {
  if (xdg_cache_home != nullptr && xdg_cache_home[0] == '/') {
    return std::string(xdg_cache_home) + "/prewarm/profiles";
  }
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.cache/prewarm/profiles";
  return {};
}

std::string profile_file(const std::string& directory, const std::string& script) {
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash(script)));
  return directory + "/" + name;
}

std::optional<Profile> load_profile(const std::string& file) {
  const os::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat s;
  if (!fd.valid() || ::fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  if (s.st_size > static_cast<off_t>(Profile::kMaxBytes)) return std::nullopt;
  std::string text(static_cast<std::size_t>(s.st_size), '\0');
  const ssize_t n = ::read(fd.get(), text.data(), text.size());
  if (n < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(n));
  return parse_profile(text);
}

void save_profile(const std::string& directory, const std::string& file, const Profile& profile) {
  if (directory.empty() || !make_directories(directory)) return;
  if (::access(file.c_str(), F_OK) != 0) make_room(directory);
  const std::string text = format_profile(profile);
  // Several runs of the script may end at once: each has a file of its own until the rename.
  const std::string temporary = directory + "/." + std::to_string(::getpid()) + ".new";
  ::unlink(temporary.c_str());  // of a run that had our pid, and was killed
  const os::Fd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return;
  const bool written =
      ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || ::rename(temporary.c_str(), file.c_str()) != 0) ::unlink(temporary.c_str());
}

}  // namespace prewarm::launch
