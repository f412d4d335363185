// SPDX-License-Identifier: MIT
//
// What test/image-service tests with the whole service isn't repeated here.
#include "image/file_watch.h"

#include <linux/magic.h>

#include <filesystem>

#include "os/testing.h"

namespace prewarm::image {
namespace {

namespace fs = std::filesystem;
using Ids = std::set<FileWatch::Id>;

class FileWatchTest : public os::LeavesNothing {
 protected:
  FileWatchTest() {
    fs::create_directories(directory_ / "a/b");
    os::write_file(directory_ / "a/b/file", "x");
  }

  static FileWatch make(std::size_t limit = 100) {
    auto watch = FileWatch::make(limit);
    EXPECT_TRUE(watch) << watch.error().message();
    return std::move(*watch);
  }
  static Ids touched(FileWatch& watch) {
    Ids ids;
    watch.drain(ids);
    return ids;
  }

  const os::TempDirectory directory_;
  const std::string file_ = directory_ / "a/b/file";
};

TEST_F(FileWatchTest, TellsWhoIsConcerned) {
  FileWatch watch = make();
  const std::string other = directory_ / "a/b/other";
  ASSERT_TRUE(watch.watch(1, {file_}));
  ASSERT_TRUE(watch.watch(2, {file_, other}));
  EXPECT_EQ(touched(watch), Ids{});
  os::write_file(file_, "y");
  EXPECT_EQ(touched(watch), (Ids{1, 2}));
  EXPECT_EQ(touched(watch), Ids{});
  os::write_file(other, "appears");
  EXPECT_EQ(touched(watch), Ids{2});
  os::write_file(directory_ / "a/b/unrelated", "x");
  EXPECT_EQ(touched(watch), Ids{});
}

TEST_F(FileWatchTest, DirectoriesOnTheWayCount) {
  for (const char* name : {"a/b", "a"}) {
    FileWatch watch = make();
    ASSERT_TRUE(watch.watch(1, {file_}));
    const std::string path = directory_ / name;
    fs::rename(path, path + "_");
    EXPECT_EQ(touched(watch), Ids{1}) << name;
    fs::rename(path + "_", path);
  }
}

TEST_F(FileWatchTest, LinksCount) {
  fs::create_symlink("a/b", directory_ / "relative");
  fs::create_symlink(directory_ / "relative", directory_ / "absolute");
  fs::create_symlink("../b/../b/file", directory_ / "a/b/link");
  const std::string path = directory_ / "absolute/./link";
  for (const char* name : {"relative", "absolute", "a/b/link"}) {
    FileWatch watch = make();
    ASSERT_TRUE(watch.watch(1, {path}));
    const std::string link = directory_ / name;
    fs::rename(link, link + "_");
    EXPECT_EQ(touched(watch), Ids{1}) << name;
    fs::rename(link + "_", link);
  }
  FileWatch watch = make();
  ASSERT_TRUE(watch.watch(1, {path}));
  os::write_file(file_, "y");
  EXPECT_EQ(touched(watch), Ids{1});
}

TEST_F(FileWatchTest, EndlessLinksCannotBeWatched) {
  fs::create_symlink("two", directory_ / "one");
  fs::create_symlink("one", directory_ / "two");
  FileWatch watch = make();
  EXPECT_FALSE(watch.watch(1, {directory_ / "one"}));
  EXPECT_EQ(watch.watches(), 0U);
}

TEST_F(FileWatchTest, LimitIsKept) {
  FileWatch watch = make(3);
  EXPECT_FALSE(watch.watch(1, {file_}));
  EXPECT_EQ(watch.watches(), 0U);
}

TEST_F(FileWatchTest, ForgottenOnesAreNotTold) {
  FileWatch watch = make();
  ASSERT_TRUE(watch.watch(1, {file_}));
  ASSERT_TRUE(watch.watch(2, {file_}));
  watch.forget(1);
  EXPECT_GT(watch.watches(), 0U);
  os::write_file(file_, "y");
  EXPECT_EQ(touched(watch), Ids{2});
  watch.forget(2);
  EXPECT_EQ(watch.watches(), 0U);
  os::write_file(file_, "z");
  EXPECT_EQ(touched(watch), Ids{});
}

TEST_F(FileWatchTest, FilesystemsOfOthersAreNotTrusted) {
  EXPECT_TRUE(FileWatch::sees_all(EXT4_SUPER_MAGIC));
  EXPECT_TRUE(FileWatch::sees_all(TMPFS_MAGIC));
  for (const std::uint64_t type : {NFS_SUPER_MAGIC, FUSE_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,
                                   SMB_SUPER_MAGIC, PROC_SUPER_MAGIC}) {
    EXPECT_FALSE(FileWatch::sees_all(type)) << type;
  }
  FileWatch watch = make();
  EXPECT_FALSE(watch.watch(1, {"/proc/version"}));
}

}  // namespace
}  // namespace prewarm::image
