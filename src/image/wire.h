// SPDX-License-Identifier: MIT
//
// What is said between the loader service, prewarmd, and who wants a program started from an image:
// one request and one answer, each one message on a SOCK_SEQPACKET Unix socket.
//
//   (map_fd, entry, ctx) = map(exec_fd, pidfd)
//
// What isn't such a message is answered with the end of the connection.
//
// A request carries two descriptors: the program's file (read or O_PATH), and a pidfd of the
// process that will be the program; the image is held at least as long as that lives. The answer
// carries the image first, then the files that regions are mapped from, in the order of
// `ImageFile::descriptor`.
#pragma once

#include <cstdint>

namespace prewarm::image {

inline constexpr std::uint32_t kMapMagic = 0x504d5750;  // "PWMP"
inline constexpr std::uint32_t kMapVersion = 2;

inline constexpr std::uint32_t kMapBuild = 1;  // if there is no image, have one made for later
inline constexpr std::uint32_t kMapWait = 2;   // and answer only when it is there
inline constexpr std::uint32_t kMapPack = 4;   // a packed image, whatever the number of libraries
inline constexpr std::uint32_t kMapDoNotPack = 8;  // never a packed one

// An image pays from so many regions on, where ld.so starts first: what that does before it loads
// anything takes longer than mapping a few libraries. When the process that asks is there only to
// start the program, and when it would have executed it anyway (docs/performance.md).
inline constexpr std::uint32_t kFewestForExec = 15;
inline constexpr std::uint32_t kFewestForLaunch = 35;

struct MapRequest {
  std::uint32_t magic = kMapMagic;
  std::uint32_t version = kMapVersion;
  std::uint64_t stack_limit = 0;  // RLIMIT_STACK of the process, soft; another image for each
  std::uint32_t flags = 0;        // kMap*
  // The program's absolute path follows, without a zero byte, and after it, the same way, that of
  // what LD_PRELOAD will name (none: the variable isn't set).
  std::uint32_t path_bytes = 0;
  std::uint32_t preload_bytes = 0;
  std::uint32_t fewest_regions = 0;  // an image of fewer is refused: not_worth_it
  // What "/" is for whoever asks, by statx(2): stx_mnt_id and stx_ino. In another mount namespace
  // or root the same program would be linked with other libraries.
  std::uint64_t root_mount = 0;
  std::uint64_t root_inode = 0;
};

inline constexpr std::uint32_t kMaxPathBytes = 4095;

struct MapAnswer {
  std::uint32_t magic = kMapMagic;
  std::uint32_t version = kMapVersion;
  std::uint32_t refusal = 0;      // a Refusal; none (0): what follows is valid
  std::uint32_t descriptors = 0;  // that came along
  std::uint64_t entry = 0;        // where the program starts, an address
  std::uint64_t context = 0;      // of the image's bytes: header and tables, which come first
  std::uint64_t image_bytes = 0;
};

// For people: what the service has, and what it is to do. Answered by a ControlAnswer and, if there
// is something to be said, a memfd with that as text.

inline constexpr std::uint32_t kControlMagic = 0x54435750;  // "PWCT"

enum class ControlKind : std::uint32_t {
  list,    // JSON: images, what holds them, refusals, sandbox
  gc,      // release what nobody holds, and what is too much on disk
  remove,  // forget the images of the program whose path follows
  stop,    // end
};

struct ControlRequest {
  std::uint32_t magic = kControlMagic;
  std::uint32_t version = kMapVersion;
  ControlKind kind = ControlKind::list;
  std::uint32_t path_bytes = 0;  // `remove`: the program's absolute path follows
};

struct ControlAnswer {
  std::uint32_t magic = kControlMagic;
  std::uint32_t version = kMapVersion;
  std::uint32_t refusal = 0;      // a Refusal
  std::uint32_t descriptors = 0;  // 1: the text came along
  std::uint64_t count = 0;        // images that were released or forgotten
};

// The name of the service's socket, in os::runtime_directory.
inline constexpr char kServiceSocketName[] = "/image.sock";

// Beside it: when somebody has last tried to have a service, as the file's time of modification. So
// where none can run not every start of a program tries again.
inline constexpr char kStartStampName[] = "/image.start";
inline constexpr std::int64_t kStartPauseSeconds = 60;

}  // namespace prewarm::image
