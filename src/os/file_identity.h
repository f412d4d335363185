// SPDX-License-Identifier: MIT
//
// A file as it was at some time: written to or replaced, it is another.
//
// Restrictions: also for code without a C library; makes no calls.
#pragma once

#include <linux/stat.h>
#include <sys/stat.h>

#include <compare>
#include <cstdint>

#include "os/clock.h"

namespace prewarm::os {

struct FileIdentity {
  std::uint64_t device = 0;  // as in st_dev
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;

  static FileIdentity of(const struct ::stat& s) {
    return {s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size), ns_of(s.st_mtim),
            ns_of(s.st_ctim)};
  }
  // Needs STATX_BASIC_STATS.
  static FileIdentity of(const struct ::statx& s) {
    return {device_of(s.stx_dev_major, s.stx_dev_minor), s.stx_ino, s.stx_size, ns_of(s.stx_mtime),
            ns_of(s.stx_ctime)};
  }
  auto operator<=>(const FileIdentity&) const = default;

 private:
  // What makedev(3) does, which is a call.
  static std::uint64_t device_of(std::uint64_t major, std::uint64_t minor) {
    return (major & 0xfff) << 8 | (major & ~0xfffULL) << 32 | (minor & 0xff) |
           (minor & ~0xffULL) << 12;
  }
};

}  // namespace prewarm::os
