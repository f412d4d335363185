// SPDX-License-Identifier: MIT
#include "launch/profile.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "os/testing.h"

namespace prewarm::launch {
namespace {

constexpr char kHead[] = "prewarm-profile 1\n";

Profile sample() {
  return {{{"/usr/bin/cut", 12, 3}, {"/bin/a name", 1, 0}, {"/usr/bin/s\xff", 4294967295U, 1}}};
}

// ---- Text ---------------------------------------------------------------------------------------

TEST(ProfileTextTest, SurvivesTheRoundTrip) {
  EXPECT_EQ(parse_profile(format_profile(sample())), sample());
  EXPECT_EQ(parse_profile(format_profile({})), Profile{});
  EXPECT_EQ(format_profile(sample()).substr(0, 44),
            std::string(kHead) + "12 3 /usr/bin/cut\n1 0 /bin");
}

TEST(ProfileTextTest, WhatIsNoProfileIsIgnored) {
  const std::string head = kHead;
  using namespace std::string_literals;
  for (const std::string& text : {""s,
                                  "prewarm-profile 1"s,
                                  "prewarm-profile 2\n"s,
                                  "\n"s + head,
                                  head + "\n",
                                  head + "1 0 /a",
                                  head + "1 0 a\n",
                                  head + "1 0\n",
                                  head + "1 /a\n",
                                  head + "-1 0 /a\n",
                                  head + "1 -1 /a\n",
                                  head + "+1 0 /a\n",
                                  head + "x 0 /a\n",
                                  head + " 1 0 /a\n",
                                  head + "1  0 /a\n",
                                  head + "1 0  /a\n",
                                  head + "4294967296 0 /a\n",
                                  head + "1 0 /a\0b\n"s,
                                  head + "1 0 /a\n\n",
                                  head + "1,0,/a\n"}) {
    EXPECT_EQ(parse_profile(text), std::nullopt) << text;
  }
}

TEST(ProfileTextTest, MoreThanTheLimitsIsIgnored) {
  std::string text = kHead;
  for (std::size_t i = 0; i < Profile::kMaxEntries; ++i) text += "1 0 /" + std::to_string(i) + "\n";
  EXPECT_TRUE(parse_profile(text).has_value());
  EXPECT_EQ(parse_profile(text + "1 0 /more\n"), std::nullopt);
  std::string long_text = kHead + std::string("1 0 /");
  long_text.resize(Profile::kMaxBytes - 1, 'x');
  EXPECT_TRUE(parse_profile(long_text + "\n").has_value());
  EXPECT_EQ(parse_profile(long_text + "x\n"), std::nullopt);
}

TEST(ProfileTextTest, WhatIsWrittenIsWithinTheLimits) {
  Profile many;
  for (int i = 0; i < 1000; ++i) many.entries.push_back({"/usr/bin/p" + std::to_string(i), 1, 0});
  auto back = parse_profile(format_profile(many));
  ASSERT_TRUE(back.has_value());
  ASSERT_EQ(back->entries.size(), Profile::kMaxEntries);
  EXPECT_EQ(back->entries[0], many.entries[0]) << "the first in order of use are kept";
  Profile wide;
  for (int i = 0; i < 10; ++i) wide.entries.push_back({"/" + std::string(4000, 'x'), 1, 0});
  back = parse_profile(format_profile(wide));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->entries.size(), 4U);
}

TEST(ProfileTextTest, APathThatCannotBeWrittenIsLeftOut) {
  const Profile odd = {{{"/a", 1, 0}, {"/b\n1 0 /evil", 1, 0}, {"/c", 1, 0}}};
  EXPECT_EQ(parse_profile(format_profile(odd)), (Profile{{{"/a", 1, 0}, {"/c", 1, 0}}}));
}

// ---- Files --------------------------------------------------------------------------------------

TEST(ProfileFileTest, LiesInTheUsersCache) {
  EXPECT_EQ(profile_directory("/cache", "/home/me"), "/cache/prewarm/profiles");
  EXPECT_EQ(profile_directory(nullptr, "/home/me"), "/home/me/.cache/prewarm/profiles");
  EXPECT_EQ(profile_directory("", "/home/me"), "/home/me/.cache/prewarm/profiles");
  EXPECT_EQ(profile_directory("relative", "/home/me"), "/home/me/.cache/prewarm/profiles");
  EXPECT_EQ(profile_directory(nullptr, nullptr), "");
  EXPECT_EQ(profile_directory("relative", "relative"), "");
}

TEST(ProfileFileTest, EachScriptHasItsOwn) {
  const std::string a = profile_file("/d", "/home/me/a");
  EXPECT_TRUE(a.starts_with("/d/"));
  EXPECT_EQ(a.find('/', 3), std::string::npos) << "whatever the script's name is";
  EXPECT_EQ(a, profile_file("/d", "/home/me/a"));
  EXPECT_NE(a, profile_file("/d", "/home/me/b"));
}

class ProfileDirectoryTest : public ::testing::Test {
 protected:
  mode_t mode_of(const std::string& path) const {
    struct stat s{};
    return ::stat(path.c_str(), &s) == 0 ? s.st_mode & 07777 : 0;
  }
  std::size_t file_count() const {
    const std::filesystem::directory_iterator files(directory_);
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }

  const os::TempDirectory temp_;
  const std::string directory_ = profile_directory(temp_.path().c_str(), nullptr);
  const std::string file_ = profile_file(directory_, "/script");
};

TEST_F(ProfileDirectoryTest, WhatWasSavedIsLoaded) {
  save_profile(directory_, file_, sample());
  EXPECT_EQ(load_profile(file_), sample());
  EXPECT_EQ(mode_of(directory_), 0700U);
  EXPECT_EQ(mode_of(file_), 0600U);
  const Profile other = {{{"/a", 1, 0}}};
  save_profile(directory_, file_, other);
  EXPECT_EQ(load_profile(file_), other);
  EXPECT_EQ(file_count(), 1U) << "nothing else is left";
}

TEST_F(ProfileDirectoryTest, ReplacesAFileInsteadOfWritingIt) {
  save_profile(directory_, file_, sample());
  const os::Fd reader(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  save_profile(directory_, file_, {});
  char byte = 0;
  EXPECT_EQ(::pread(reader.get(), &byte, 1, 20), 1) << "who reads it has the old one, whole";
}

TEST_F(ProfileDirectoryTest, WhatCannotBeLoadedIsNoProfile) {
  EXPECT_EQ(load_profile(file_), std::nullopt) << "not there";
  EXPECT_EQ(load_profile(temp_.path()), std::nullopt) << "a directory";
  ASSERT_EQ(::mkfifo((temp_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(load_profile(temp_ / "fifo"), std::nullopt);
  os::write_file(temp_ / "large", kHead + std::string(1 << 20, '\n'));
  EXPECT_EQ(load_profile(temp_ / "large"), std::nullopt);
  os::write_file(temp_ / "damaged", "prewarm-profile 1\n12 3 /usr/bi");
  EXPECT_EQ(load_profile(temp_ / "damaged"), std::nullopt);
}

TEST_F(ProfileDirectoryTest, TheOldestMakesRoom) {
  save_profile(directory_, file_, sample());
  const std::string oldest = profile_file(directory_, "/oldest");
  for (std::size_t i = 1; i < kMaxProfiles; ++i) {
    os::write_file(profile_file(directory_, "/" + std::to_string(i)), "");
  }
  std::filesystem::rename(profile_file(directory_, "/7"), oldest);
  const timespec long_ago[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, oldest.c_str(), long_ago, 0), 0);
  save_profile(directory_, file_, sample());
  EXPECT_TRUE(std::filesystem::exists(oldest)) << "replacing needs no room";
  save_profile(directory_, profile_file(directory_, "/new"), sample());
  EXPECT_FALSE(std::filesystem::exists(oldest));
  EXPECT_EQ(file_count(), kMaxProfiles);
}

// A home directory that isn't there (of a service, say) is not made.
TEST_F(ProfileDirectoryTest, MakesNoHomeDirectory) {
  const std::string home = temp_ / "home";
  const std::string directory = profile_directory(nullptr, home.c_str());
  save_profile(directory, profile_file(directory, "/script"), sample());
  EXPECT_FALSE(std::filesystem::exists(home));
  std::filesystem::create_directory(home);
  save_profile(directory, profile_file(directory, "/script"), sample());
  EXPECT_TRUE(load_profile(profile_file(directory, "/script")).has_value());
  save_profile("", profile_file("", "/script"), sample());
  // The cache directory itself is ours to make (XDG Base Directory Specification).
  const std::string cache = temp_ / "cache";
  const std::string named = profile_directory(cache.c_str(), nullptr);
  save_profile(named, profile_file(named, "/script"), sample());
  EXPECT_TRUE(load_profile(profile_file(named, "/script")).has_value());
}

// What a run that was killed left behind must not keep later ones from saving.
TEST_F(ProfileDirectoryTest, AHalfWrittenFileIsInNobodysWay) {
  save_profile(directory_, file_, sample());
  os::write_file(directory_ + "/." + std::to_string(::getpid()) + ".new", "half");
  const Profile other = {{{"/a", 1, 0}}};
  save_profile(directory_, file_, other);
  EXPECT_EQ(load_profile(file_), other);
}

}  // namespace
}  // namespace prewarm::launch
