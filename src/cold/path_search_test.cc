// SPDX-License-Identifier: MIT
#include "cold/path_search.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace prewarm::cold {
namespace {

std::vector<std::string> names(PathSearch search) {
  std::vector<std::string> found;
  while (const char* name = search.next()) found.emplace_back(name);
  return found;
}

using Names = std::vector<std::string>;

TEST(PathSearch, TriesEachDirectory) {
  EXPECT_EQ(names({"ls", "/bin:/usr/bin/:."}), (Names{"/bin/ls", "/usr/bin//ls", "./ls"}));
}

TEST(PathSearch, AnEmptyElementIsTheWorkingDirectory) {
  EXPECT_EQ(names({"ls", ""}), Names{"ls"});
  EXPECT_EQ(names({"ls", ":/bin"}), (Names{"ls", "/bin/ls"}));
  EXPECT_EQ(names({"ls", "/bin:"}), (Names{"/bin/ls", "ls"}));
  EXPECT_EQ(names({"ls", "/a::/b"}), (Names{"/a/ls", "ls", "/b/ls"}));
}

TEST(PathSearch, ANameWithASlashIsNotSearchedFor) {
  EXPECT_EQ(names({"./ls", "/bin:/usr/bin"}), Names{"./ls"});
  EXPECT_EQ(names({"dir/", "/bin"}), Names{"dir/"});
  EXPECT_EQ(names({"", "/bin"}), Names{""});
  EXPECT_EQ(names(PathSearch("ls")), Names{"ls"});
}

TEST(PathSearch, WhatIsTooLongIsLeftOut) {
  const std::string most(PATH_MAX - 4, 'd');  // a slash, "ls" and the end make PATH_MAX
  const std::string more = most + "d";
  EXPECT_EQ(names({"ls", (more + ":/bin").c_str()}), Names{"/bin/ls"});
  EXPECT_EQ(names({"ls", (most + ":/bin").c_str()}), (Names{most + "/ls", "/bin/ls"}));
}

TEST(PathSearch, GoesOnAfterWhatMeansNotHere) {
  for (const int error : {ENOENT, ENOTDIR, ESTALE, ENODEV, ETIMEDOUT, EACCES}) {
    PathSearch search("ls", "/a:/b");
    EXPECT_TRUE(search.goes_on_after(error)) << error;
    EXPECT_EQ(search.error(), error);
  }
  for (const int error : {ENOEXEC, E2BIG, ENOMEM, ETXTBSY, ELOOP, EPERM, EIO, ENAMETOOLONG}) {
    PathSearch search("ls", "/a:/b");
    EXPECT_FALSE(search.goes_on_after(error)) << error;
    EXPECT_EQ(search.error(), error);
  }
}

TEST(PathSearch, ADenialIsRemembered) {
  PathSearch search("ls", "/a:/b");
  EXPECT_TRUE(search.goes_on_after(EACCES));
  EXPECT_TRUE(search.goes_on_after(ENOENT));
  EXPECT_EQ(search.error(), EACCES);
  EXPECT_FALSE(search.goes_on_after(ENOEXEC));
  EXPECT_EQ(search.error(), ENOEXEC);
}

TEST(PathSearch, WithoutAnyNameThereIsNothing) {
  EXPECT_EQ(PathSearch("ls", "/bin").error(), ENOENT);
}

}  // namespace
}  // namespace prewarm::cold
