// SPDX-License-Identifier: MIT
#include "os/file_identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

namespace prewarm::os {
namespace {

TEST(FileIdentity, IsTheSameByStatAndStatx) {
  for (const char* path : {"/proc/self/exe", "/dev/null", "/proc", "/etc/passwd"}) {
    struct stat s;
    struct statx x;
    ASSERT_EQ(::stat(path, &s), 0) << path;
    ASSERT_EQ(::statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &x), 0) << path;
    EXPECT_EQ(FileIdentity::of(s), FileIdentity::of(x)) << path;
  }
}

TEST(FileIdentity, HasTheDeviceOfStat) {
  struct statx x{};
  x.stx_dev_major = 0x12345678;
  x.stx_dev_minor = 0x9abcdef0;
  EXPECT_EQ(FileIdentity::of(x).device, makedev(0x12345678, 0x9abcdef0));
}

}  // namespace
}  // namespace prewarm::os
