// SPDX-License-Identifier: MIT
//
// Standard streams of an FCLI invocation (docs/protocol/fcli.md): names by which the tool opens
// them, and what copies between those and the caller's open files.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "coproc/invocation.h"
#include "coproc/service.h"
#include "coproc/stream_relay.h"
#include "os/result.h"

namespace prewarm::coproc {

// The directory of one adapter's FIFOs, in the user's runtime directory. It goes with this object;
// and one whose adapter was killed goes when the next is made.
class FifoDirectory {
 public:
  static os::Result<FifoDirectory> make(const std::string& parent);
  FifoDirectory(FifoDirectory&&) = default;
  FifoDirectory& operator=(FifoDirectory&&) = delete;
  ~FifoDirectory();

  const std::string& path() const { return path_; }

 private:
  FifoDirectory(std::string path, os::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  os::Fd lock_;  // of the directory itself; held as long as it is in use
};

// FIFOs of one invocation; removed with this object.
class FcliStreams {
 public:
  FcliStreams() = default;
  FcliStreams(FcliStreams&& other) noexcept { std::swap(fifos_, other.fifos_); }
  FcliStreams& operator=(FcliStreams&& other) noexcept {
    std::swap(fifos_, other.fifos_);
    return *this;
  }
  ~FcliStreams();

  // Names the streams in `invocation`, and makes the relays that they need (not started yet).
  // `prefix`: of the FIFOs' paths, fresh. A descriptor that the tool opens itself stays in
  // `streams`, and must stay open as long as the tool may do that.
  os::Result<std::vector<std::unique_ptr<Relay>>> open(const std::string& prefix, bool takes_stdin,
                                                       Streams& streams, Invocation& invocation);
  // Whether each FIFO is still what its name means. If not, output went somewhere else.
  bool are_in_place() const;

 private:
  struct Fifo {
    std::string path;
    dev_t device;
    ino_t inode;
  };
  os::Result<os::Fd> make(const std::string& path, int flags);

  std::vector<Fifo> fifos_;
};

// Whether two descriptors of this process are the same open file, and not just of the same file.
bool are_same_open_file(int a, int b);

}  // namespace prewarm::coproc
