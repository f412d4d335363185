// SPDX-License-Identifier: MIT
#include "cold/libc_actions.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace prewarm::cold {
namespace {

using Kind = FileAction::Kind;

class LibcActions : public testing::Test {
 protected:
  LibcActions() { posix_spawn_file_actions_init(&object_); }
  ~LibcActions() override { posix_spawn_file_actions_destroy(&object_); }

  posix_spawn_file_actions_t object_;
};

TEST_F(LibcActions, NoneIsNone) {
  ASSERT_TRUE(file_actions(nullptr).has_value());
  EXPECT_TRUE(file_actions(nullptr)->empty());
  ASSERT_TRUE(file_actions(&object_).has_value());
  EXPECT_TRUE(file_actions(&object_)->empty());
}

TEST_F(LibcActions, AreReadInTheirOrder) {
  posix_spawn_file_actions_addopen(&object_, 7, "/etc/passwd", O_RDONLY | O_APPEND, 0123);
  posix_spawn_file_actions_adddup2(&object_, 8, 9);
  posix_spawn_file_actions_addclose(&object_, 10);
  posix_spawn_file_actions_addchdir_np(&object_, "/tmp");
  posix_spawn_file_actions_addfchdir_np(&object_, 11);
  posix_spawn_file_actions_addclosefrom_np(&object_, 12);
  posix_spawn_file_actions_addtcsetpgrp_np(&object_, 13);
  const auto actions = file_actions(&object_);
  ASSERT_TRUE(actions.has_value());
  ASSERT_EQ(actions->size(), 7U);
  const auto& a = *actions;
  EXPECT_EQ(a[0].kind, Kind::open);
  EXPECT_EQ(a[0].of.fd, 7);
  EXPECT_STREQ(a[0].path, "/etc/passwd");
  EXPECT_EQ(a[0].flags, O_RDONLY | O_APPEND);
  EXPECT_EQ(a[0].mode, 0123U);
  EXPECT_EQ(a[1].kind, Kind::dup);
  EXPECT_EQ(a[1].of.fd, 8);
  EXPECT_EQ(a[1].of.to, 9);
  EXPECT_EQ(a[2].kind, Kind::close);
  EXPECT_EQ(a[2].of.fd, 10);
  EXPECT_EQ(a[3].kind, Kind::chdir);
  EXPECT_STREQ(a[3].directory, "/tmp");
  EXPECT_EQ(a[4].kind, Kind::fchdir);
  EXPECT_EQ(a[4].of.fd, 11);
  EXPECT_EQ(a[5].kind, Kind::close_from);
  EXPECT_EQ(a[5].of.fd, 12);
  EXPECT_EQ(a[6].kind, Kind::foreground);
  EXPECT_EQ(a[6].of.fd, 13);
}

// The array behind the object grows by reallocation.
TEST_F(LibcActions, ManyAreRead) {
  for (int i = 0; i < 1000; ++i) posix_spawn_file_actions_addfchdir_np(&object_, i);
  const auto actions = file_actions(&object_);
  ASSERT_TRUE(actions.has_value());
  ASSERT_EQ(actions->size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ((*actions)[static_cast<std::size_t>(i)].of.fd, i);
}

// As a newer C library could make it.
TEST_F(LibcActions, AnUnknownKindIsNotGuessedAt) {
  posix_spawn_file_actions_addclose(&object_, 3);
  posix_spawn_file_actions_addclose(&object_, 4);
  auto* records = reinterpret_cast<FileAction*>(object_.__actions);
  records[1].kind = static_cast<Kind>(7);
  EXPECT_FALSE(file_actions(&object_).has_value());
  records[1].kind = static_cast<Kind>(-1);
  EXPECT_FALSE(file_actions(&object_).has_value());
  records[1].kind = Kind::close;
  EXPECT_TRUE(file_actions(&object_).has_value());
}

}  // namespace
}  // namespace prewarm::cold
